"""What dangled before is known again in the end, in parts that are held one at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import dangled
from bucketops_jobs.records import Records
from bucketops_jobs.s3.fake import FakeServer

ROWS = st.sets(st.tuples(st.text(alphabet="abé", max_size=2), st.sampled_from(["0:1", "0:2", '1:["a", "b"]'])))


def records() -> Records:
    return Records(FakeServer({"records": {}}).store("records"), ".bucketops/x/")


@given(before=ROWS, now=ROWS)
def test_each_row_is_known_by_its_key_and_itself(before: set[tuple[str, str]], now: set[tuple[str, str]]) -> None:
    kept = records()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dangled, "LINES", 2)
        parts = dangled.write(kept, "plans/x", sorted(before))
    known = dangled.Known(kept, parts)
    assert {pair for pair in sorted(now) if known.has(*pair)} == before & now


def test_a_quarter_of_a_million_rows_are_known() -> None:
    """Seen: above 100,000 of them the rest was called our doing."""
    kept, amount = records(), 250_000
    parts = dangled.write(kept, "plans/x", ((f"{number:06d}", f"0:{number}") for number in range(amount)))
    assert len(parts) == amount // dangled.LINES
    known = dangled.Known(kept, parts)
    assert all(known.has(f"{number:06d}", f"0:{number}") for number in range(0, amount, 7))
    assert not known.has("999999", "0:1")


def test_a_shard_reads_only_its_parts() -> None:
    kept = records()
    parts = dangled.write(kept, "plans/x", ((f"{number:06d}", "0:1") for number in range(30_000)))
    kept.store.remove([parts[0].key, parts[2].key])
    assert dangled.Known(kept, parts).has("015000", "0:1")


def test_parts_that_somebody_changed_are_refused() -> None:
    kept = records()
    (part,) = dangled.write(kept, "plans/x", [("a", "0:1")])
    kept.store.put(part.key, b'[["b","0:1"]]', {})
    with pytest.raises(UserError, match="changed after it was written"):
        dangled.Known(kept, [part]).has("a", "0:1")
