"""What workers say that they wait for, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from bucketops_api import counts
from bucketops_operator.executor import ObservedRun

DATABASE = "database"
WAITS_FOR = {
    DATABASE: "the database, which does not answer",
    "store": "the store, which answers nothing but errors, or not at all",
    "transactions": "transactions that are open in the database and may still write legacy paths",
    "replicas": "replicas of the database, which are behind by more than maxReplicationLag",
}
"""By the name that workers have for it, what is waited for."""


def waits(seen: ObservedRun) -> str:
    """Return what a run's workers wait for, and since when; empty if they wait for nothing."""
    return "; ".join(_each(seen))


def _each(seen: ObservedRun) -> Iterator[str]:
    found = counts.waiting(seen.live)
    for what, words in WAITS_FOR.items():
        if what in found:
            since, workers = found[what]
            when = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
            yield f"waits for {words}, since {when} ({workers} of {seen.active} workers)"
