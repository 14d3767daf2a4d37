"""Counts by name, and the Prometheus metrics that carry them from a worker to the operator.

A count is `objects/<outcome>`, `rows/<outcome>` or a plain name such as `bytes`; counts of shards add up.
"""

from __future__ import annotations

from bucketops_api.names import WORKER_METRICS

OBJECTS = "objects/"
ROWS = "rows/"
DONE = "done"
BYTES = "bytes"
DELETED = "deleted"
NOT_KEPT = "notKept"
CHANGED = "changed"
PENDING = "pending"
ROWS_UPDATED = "rowsUpdated"

_FAMILIES = {OBJECTS: f"{WORKER_METRICS}objects_total", ROWS: f"{WORKER_METRICS}rows_total"}
_PLAIN = f"{WORKER_METRICS}count_total"


def to_metric(count: str) -> tuple[str, dict[str, str]]:
    """The metric's name and labels for a count."""
    for prefix, family in _FAMILIES.items():
        if count.startswith(prefix):
            return family, {"outcome": count.removeprefix(prefix)}
    return _PLAIN, {"count": count}


def from_metric(name: str, labels: dict[str, str]) -> str | None:
    """The count that a metric carries, or None for a metric of another meaning."""
    for prefix, family in _FAMILIES.items():
        if name == family:
            return prefix + labels["outcome"]
    return labels["count"] if name == _PLAIN else None


def add(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """The sum of two sets of counts."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in counts | more}
