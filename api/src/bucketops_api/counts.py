"""Counts by name, and the Prometheus metrics that carry them from a worker to the operator.

A count is `objects/<outcome>`, `rows/<outcome>`, `now/<what>` (which may fall) or a plain name such as `bytes`; counts
of shards add up.
"""

from __future__ import annotations

from collections.abc import Mapping

from bucketops_api.names import METRIC_REQUEST_SECONDS, METRIC_RETRIES, METRIC_THROTTLES, WORKER_METRICS

OBJECTS = "objects/"
ROWS = "rows/"
DONE = "done"
BYTES = "bytes"
DELETED = "deleted"
NOT_KEPT = "notKept"
ORPHANS = "orphans"
"""Moved objects that no row names."""
CHANGED = "changed"
PENDING = "pending"
ROWS_UPDATED = "rowsUpdated"
GAPS = "gaps"
"""How often a pod that hears events came to hear everything again, after some may have been missed."""
EVENTS = "events"
"""Heard and taken in."""
DROPPED = "eventsDropped"
"""Heard while there was no room for them: the sender was told so, if there is anybody who listens."""
EVENTS_UNREAD = "eventsUnread"
"""Messages that are no event; each is acknowledged, so that it does not come again."""
REFUSED = "refused"
UNWRITTEN = "refusalsUnwritten"
"""Refusals that could not be written down: they are found out, and refused, again."""

NOW = "now/"
LISTENING = f"{NOW}listening"
DROPPING = f"{NOW}dropping"
"""1 from the first event that there was no room for until there is plenty."""
EVENTS_PENDING = f"{NOW}pending"
OLDEST_PENDING = f"{NOW}oldestPendingSeconds"
WAITS = f"{NOW}waits/"
"""Followed by what is waited for and since when (seconds since 1970): how many workers wait for it."""
AHEAD = f"{NOW}copied"
"""Objects that are copied and have no outcome yet: their chunk is still to be looked at again and rewritten."""
AHEAD_BYTES = f"{NOW}copiedBytes"
REQUESTS = f"{NOW}requests"
"""Requests that the store has answered."""
RETRIES = f"{NOW}retries"
THROTTLES = f"{NOW}throttles"
"""Requests that the store has answered by SlowDown, or not in time."""
LATENCY = f"{NOW}latency/"
"""Followed by the bound in milliseconds: how many events of the last minutes took at most so long, and more than the
bound before."""
LATENCY_BOUNDS_MS = tuple(round(10 * 1.25**step) for step in range(62))
"""From 10 ms to over two hours, each a quarter more than the one before."""

_DIGITS = 11
"""Of a time in seconds since 1970, at most: until the year 5138."""
_FAMILIES = {
    OBJECTS: f"{WORKER_METRICS}objects_total",
    ROWS: f"{WORKER_METRICS}rows_total",
    NOW: f"{WORKER_METRICS}now",
}
_LABEL = {NOW: "what"}
_PLAIN = f"{WORKER_METRICS}count_total"
_BESIDE = {
    f"{METRIC_REQUEST_SECONDS}_count": REQUESTS,
    f"{METRIC_RETRIES}_total": RETRIES,
    f"{METRIC_THROTTLES}_total": THROTTLES,
}
"""Metrics of a worker's requests that are read as counts, summed over their labels."""
METRICS = (*_FAMILIES.values(), _PLAIN, *_BESIDE)
"""Names of all metrics that carry counts; a worker has many others."""


def to_metric(count: str) -> tuple[str, dict[str, str]]:
    """The metric's name and labels for a count."""
    for prefix, family in _FAMILIES.items():
        if count.startswith(prefix):
            return family, {_LABEL.get(prefix, "outcome"): count.removeprefix(prefix)}
    return _PLAIN, {"count": count}


def from_metric(name: str, labels: dict[str, str]) -> str | None:
    """The count that a metric carries, or None for a metric of another meaning."""
    for prefix, family in _FAMILIES.items():
        if name == family:
            return prefix + labels[_LABEL.get(prefix, "outcome")]
    return labels["count"] if name == _PLAIN else _BESIDE.get(name)


def add(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """The sum of two sets of counts."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in counts | more}


def waits(what: str, since: int) -> str:
    """The name of the count of workers that wait for something since then."""
    return f"{WAITS}{what}/{since}"


def waiting(counts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """By what is waited for: since when the first worker does (seconds since 1970), and how many do."""
    found: dict[str, tuple[int, int]] = {}
    for name, amount in counts.items():
        what, _, since = name.removeprefix(WAITS).partition("/")
        if name.startswith(WAITS) and amount > 0 and since.isascii() and since.isdigit() and len(since) <= _DIGITS:
            first, others = found.get(what, (int(since), 0))
            found[what] = min(first, int(since)), others + amount
    return found


def quantile(counts: Mapping[str, int], share: float) -> int:
    """The bound in milliseconds that this share of the events kept to; 0 when there were none."""
    found = {bound: counts.get(f"{LATENCY}{bound}", 0) for bound in LATENCY_BOUNDS_MS}
    left = share * sum(found.values())
    for bound, amount in found.items():
        left -= amount
        if amount and left <= 0:
            return bound
    return 0
