"""What the preflight warns of, and what it does not."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from bucketops_jobs.migration import properties
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.s3.capabilities import Capabilities


@pytest.mark.parametrize(
    ("lost", "words"),
    [((), ""), (("expires",), "server makes lose expires")],
    ids=["nothing is lost", "one property is"],
)
def test_a_copy_that_loses_nothing_is_not_warned_of(lost: tuple[str, ...], words: str) -> None:
    can = Capabilities(copy_if_absent=True, put_if_absent=True, delete_if_match=True, lost_by_copy=lost)
    spec = SimpleNamespace(guard="Strict", destination=SimpleNamespace(storage_class=None))
    context: Any = SimpleNamespace(spec=spec, destination=SimpleNamespace(bucket="production"))
    plan = Plan(epoch="1", bounds=(), capabilities=can, asks=False)
    seen = properties.Seen(Counter({"STANDARD": 2 * properties.LOOKED_AT}))
    missing = SimpleNamespace(tags=(), parts=(), inspection=())
    found: Any = SimpleNamespace(missing=missing, encryption="none")
    said = [warning for warning in properties.warnings(context, plan, found, seen) if "lose" in warning]
    assert words in said[0] if words else not said, said
