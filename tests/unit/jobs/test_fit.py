"""Rows as people may see them."""

from __future__ import annotations

import pytest

from bucketops_jobs.migration.fit import masked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("image/a.png", "image/a.png"),
        ("image/a.png?v=3", "image/a.png?v=3"),
        ("https://user:pass@host/a.png", "https://…@host/a.png"),
        ("https://host/a.png?X-Amz-Signature=abc", "https://host/a.png?…"),
        ("https://host/a.png?token=12345abc", "https://host/a.png?…"),
        ("https://host/a.png#access_token=abc", "https://host/a.png#…"),
        ("x" * 500, "x" * 120 + "…"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(value: str, shown: str) -> None:
    assert masked(value) == shown
