"""All metrics of the operator: its own, and those of the resources, computed from their statuses.

The resources' are gauges made afresh from the last status at each scrape: they outlive pods and restarts of the
operator, start at zero when a resource is first seen (so that `increase()` sees a first failure), and end with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bucketops_api import __version__
from bucketops_api.reasons import ConditionType
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.workqueue import Key

_LOG = logging.getLogger(__name__)
_RESOURCE = "bucketops_resource_"
_LABELS = ("kind", "namespace", "name")
_OUTCOMES = {
    "objects": ("outcomes", "Objects by outcome; every object is in exactly one."),
    "rows": ("rowOutcomes", "Rows by outcome; every legacy row is in exactly one."),
}
_PROGRESS = {
    "progress_percent": ("percent", "How far the work is; never falls."),
    "objects_expected": ("objectsTotal", "Objects that the work is about."),
    "objects_done": ("objectsDone", "Objects that have their outcome."),
    "objects_copied": ("objectsCopied", "Objects whose copies are there."),
    "objects_deleted": ("objectsDeleted", "Objects deleted."),
    "objects_failed": ("objectsFailed", "Objects that could not be deleted."),
    "folders_seen": ("foldersSeen", "Folders in scope at the last run."),
    "folders_kept": ("foldersKept", "Folders that the last run kept."),
    "folders_deleted": ("foldersDeleted", "Folders that the last run deleted."),
    "folders_skipped": ("foldersSkipped", "Folders that received an object after the last plan."),
    "folders_failed": ("foldersFailed", "Folders that the last run could not delete wholly."),
    "freed_bytes": ("bytesFreed", "Bytes that the last run freed."),
    "pictures_processed": ("processed", "Clean pictures written."),
    "pictures_skipped": ("skipped", "Pictures that cannot be made clean and are left out."),
    "pictures_quarantined": ("quarantined", "Pictures that cannot be made clean and are written down."),
    "pictures_conflicts": ("conflicts", "Pictures whose place holds what no pipeline made."),
    "pictures_failed": ("failed", "Tries that failed for another reason."),
    "pictures_repaired": ("repaired", "Clean pictures that sweeps wrote or deleted though events are heard."),
    "refusals_unwritten": ("unwritten", "Refusals that could not be written down."),
    "events_dropped": ("dropped", "Events for which there was no room."),
    "events_gaps": ("gaps", "How often a pod came to hear everything again, after it had not."),
    "pictures_deleted": ("deleted", "Clean pictures deleted after their source."),
    "events_pending": ("pending", "Events heard and not yet done."),
    "events_oldest_pending_seconds": ("oldestPendingSeconds", "Age of the oldest of them."),
    "events_latency_p50_milliseconds": ("latencyP50Ms", "From event to clean picture, over the last minutes: half."),
    "events_latency_p99_milliseconds": ("latencyP99Ms", "The same: 99 of 100."),
    "rows_updated": ("rowsUpdated", "Rows rewritten."),
    "done_bytes": ("bytesDone", "Bytes of objects done."),
}
_LISTENERS = {
    "listeners_wanted": ("wanted", "Pods that are to hear events."),
    "listeners_listening": ("listening", "Pods that hear events."),
}
_LAST_SWEEP = {
    "last_sweep_pictures": ("pictures", "Pictures that the last sweep found in the source."),
    "last_sweep_repaired": ("repaired", "Clean pictures that the last sweep wrote or deleted."),
    "last_sweep_failed": ("failed", "Pictures that failed in the last sweep."),
}
_PARTS = {"progress": _PROGRESS, "listeners": _LISTENERS, "lastSweep": _LAST_SWEEP}
_SHARDS = ("total", "active", "succeeded", "failed")
_RESULTS = ("Running", "Succeeded", "Failed")
_STATUSES = ("True", "False", "Unknown")

Json = Mapping[str, Any]


class Resources(Collector):
    """Gauges of all resources from their last statuses."""

    def __init__(self) -> None:
        self._statuses: dict[Key, Json] = {}

    def show(self, key: Key, status: Json) -> None:
        """Take a status in (camelCase, as in the API server)."""
        self._statuses[key] = status

    def forget(self, key: Key) -> None:
        """End the series of a resource that is gone."""
        self._statuses.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """Yield the families that Prometheus scrapes."""
        statuses = dict(self._statuses)
        for name, (field, text) in _OUTCOMES.items():
            yield _family(name, text, ("outcome",), statuses, _counts_of(field))
        for part, families in _PARTS.items():
            for name, (field, text) in families.items():
                yield _family(name, text, (), statuses, _number_of(part, field))
        yield _family("shards", "Shards of the current run by state.", ("state",), statuses, _shards)
        yield _family("runs", "The last few runs by result.", ("result",), statuses, _runs)
        yield _family("condition", "1 for the status that a condition has.", ("type", "status"), statuses, _conditions)
        text = "When the resource last became Complete, or a run of its schedule did; 0: never."
        yield _family("last_success_timestamp_seconds", text, (), statuses, _last_success)
        text = "How long the last run took that has ended; 0: none has."
        yield _family("last_run_duration_seconds", text, (), statuses, _last_duration)
        text = "When three sweeps of the schedule will have been due since the last one ended; 0: none is due."
        yield _family("sweep_overdue_timestamp_seconds", text, (), statuses, _overdue)


class Metrics:
    """The operator's own metrics beside those of the resources, in one registry."""

    def __init__(self, depth: Callable[[], float], list_age: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.resources = Resources()
        self.registry.register(self.resources)
        self._seconds = Histogram(
            "bucketops_operator_reconcile_duration_seconds", "Time of a reconcile.", ["kind"], registry=self.registry
        )
        self._errors = Counter(
            "bucketops_operator_reconcile_errors",
            "Reconciles that ended in an error, by its class.",
            ["kind", "error"],
            registry=self.registry,
        )
        self._gauge("queue_depth", "Resources that wait to be reconciled.", depth)
        self._gauge("list_age_seconds", "Seconds since the last successful list through the API server.", list_age)
        build = Gauge("bucketops_operator_build_info", "1.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        for kind in KINDS:
            self._seconds.labels(kind)

    def reconciled(self, kind: str, seconds: float) -> None:
        """Count a reconcile that came to its end."""
        self._seconds.labels(kind).observe(seconds)

    def failed(self, kind: str, error: Exception) -> None:
        """Count an error."""
        self._errors.labels(kind, type(error).__name__).inc()

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(f"bucketops_operator_{name}", text, registry=self.registry).set_function(value)


_Values = Callable[[str, Json], Iterable[tuple[tuple[str, ...], float]]]


def _family(
    name: str, text: str, labels: tuple[str, ...], statuses: Mapping[Key, Json], values: _Values
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_RESOURCE + name, text, labels=(*_LABELS, *labels))
    for key, status in statuses.items():
        for extra, value in _readable(values, key, status):
            family.add_metric((*key, *extra), value)
    return family


def _readable(values: _Values, key: Key, status: Json) -> Sequence[tuple[tuple[str, ...], float]]:
    """What a status says; nothing where somebody has edited it so that it says none: the others are still shown."""
    try:
        return list(values(key.kind, status))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        _LOG.debug("a status says no number", extra={"resource": "/".join(key), "error": repr(error)})
        return ()


def _counts_of(field: str) -> _Values:
    """Every count of the model's field, zero where the status does not have it yet."""

    def values(kind: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
        model = _zero(kind).get(field)
        for outcome, nothing in (model or {}).items():
            yield (outcome,), (status.get(field) or {}).get(outcome, nothing)

    return values


def _number_of(part: str, field: str) -> _Values:
    """A field of a part of the status, zero where the status does not have it yet; none of a kind without it."""

    def values(kind: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
        if part in _zero(kind) and field in (_zero(kind)[part] or {field}):
            yield (), (status.get(part) or {}).get(field, 0)

    return values


def _shards(_: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    for state in _SHARDS:
        yield (state,), (status.get("shards") or {}).get(state, 0)


def _runs(_: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    results = [run.get("result") for run in status.get("runs") or ()]
    for result in _RESULTS:
        yield (result,), results.count(result)


def _conditions(_: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    has = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    for kind in ConditionType:
        for value in _STATUSES:
            yield (kind.value, value), float(has.get(kind.value, "Unknown") == value)


def _last_success(_: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    """A condition that stays True has an old transition time: of a schedule each run that went well counts."""
    complete = [c for c in status.get("conditions") or () if (c["type"], c["status"]) == ("Complete", "True")]
    well = [run for run in (status.get("scheduled") or {}).get("runs") or () if run["result"] == "Succeeded"]
    times = [*(c["lastTransitionTime"] for c in complete), *(run["completedAt"] for run in well)]
    yield (), max((datetime.fromisoformat(time).timestamp() for time in times), default=0.0)


def _last_duration(_: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    """Of whichever run ended last, our own or one of a schedule."""
    known = [*(status.get("runs") or ()), *((status.get("scheduled") or {}).get("runs") or ())]
    ended = [(_seconds(run["completedAt"]), _seconds(run["startedAt"])) for run in known if run.get("completedAt")]
    over, began = max(ended, default=(0.0, 0.0))
    yield (), max(0.0, over - began)


def _overdue(kind: str, status: Json) -> Iterator[tuple[tuple[str, ...], float]]:
    if "sweepOverdueAt" in _zero(kind):
        when = status.get("sweepOverdueAt")
        yield (), _seconds(when) if when else 0.0


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when).timestamp()


_ZEROS = {name: kind.status().model_dump(mode="json", by_alias=True) for name, kind in KINDS.items()}


def _zero(kind: str) -> Json:
    """The status of a resource that nobody has looked at: says which counts a kind has."""
    return _ZEROS.get(kind, {})
