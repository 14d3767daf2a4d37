"""The spool sorts more than fits in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.spool import Spool

RECORDS = st.lists(st.tuples(st.text(), st.text()))


@given(RECORDS, st.integers(min_value=1, max_value=5))
def test_records_come_back_sorted_and_complete_however_little_fits_in_memory(
    records: list[tuple[str, str]], in_memory: int
) -> None:
    spool = Spool(in_memory)
    for record in records:
        spool.add(record)
    found = list(spool)
    assert [key for key, _ in found] == sorted(key for key, _ in records)
    assert sorted(found) == sorted(records)
