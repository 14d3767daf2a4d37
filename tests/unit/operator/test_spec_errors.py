"""What is wrong with a file is told with the field, its value, and what to write instead; no secret is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_api.v1alpha1.migration import S3MIGRATION
from bucketops_operator.run.spec_errors import sentences

PLACE = {"bucket": "legacy", "prefix": "a/"}
SPEC: dict[str, Any] = {"source": PLACE, "destination": PLACE | {"bucket": "production"}}


def told(spec: Any) -> str:
    with pytest.raises(ValidationError) as error:
        S3MIGRATION.spec.model_validate(spec)
    return "\n".join(sentences(error.value, S3MIGRATION.spec))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "Aply"}, "spec.mode = 'Aply': write one of 'Plan' or 'Apply'"),
        ({"source": {"bucket": "X"}}, "spec.source.bucket = 'X': write at least 3 characters"),
        ({"cleanup": {"grace": "24"}}, "spec.cleanup.grace = '24': write a duration such as"),
        ({"sorce": {}}, "spec.sorce: unknown field: see docs/reference.md; did you mean source?"),
        (
            {"source": PLACE | {"prefx": "a"}},
            "spec.source.prefx: unknown field: see docs/reference.md; did you mean prefix?",
        ),
        ({"worker": {"paralelism": 3}}, "did you mean parallelism?"),
        ({"worker": {"parallelism": "many"}}, "spec.worker.parallelism = 'many': write a whole number"),
        ({"worker": {"concurrency": 10**6}}, "spec.worker.concurrency = 1000000: write 1024 or less"),
        ({"worker": 3}, "spec.worker: write fields below it, as keys and values"),
        ({"filter": {"include": "*.png"}}, "spec.filter.include = '*.png': write a list"),
        ({"database": {"credentials": {}}}, "spec.database.credentials.secretRef: this field is required"),
    ],
)
def test_a_fault_is_told_with_field_value_and_remedy(change: dict[str, Any], words: str) -> None:
    assert words in told(SPEC | change)


@pytest.mark.parametrize(
    "change",
    [
        {"source": PLACE | {"credentials": "very-secret"}},
        {"source": PLACE | {"credentials": {"secretRef": "very-secret"}}},
        {"source": PLACE | {"credentials": {"secretRef": {"name": "very-secret/"}}}},
        {"source": PLACE | {"credentials": {"AWS_SECRET_ACCESS_KEY": "very-secret"}}},
        {"source": PLACE | {"endpoint": "https://user:very-secret@minio:9000"}},
        {"password": "very-secret"},
        {"worker": "very-secret"},
    ],
)
def test_what_may_be_a_secret_is_not_told(change: dict[str, Any]) -> None:
    assert "very-secret" not in told(SPEC | change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "mode", "worker", "cleanup", "database", "filter", "x"]), JSON))
def test_every_fault_has_a_sentence(change: dict[str, Any]) -> None:
    try:
        S3MIGRATION.spec.model_validate(SPEC | change)
    except ValidationError as error:
        count, found = error.error_count(), list(sentences(error, S3MIGRATION.spec))
    else:
        return
    assert len(found) == count
    assert all(sentence.startswith("spec") for sentence in found)
