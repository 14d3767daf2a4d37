"""What a worker's requests cost and meet, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bucketops_api import names
from bucketops_jobs.gate import Gate

OPERATIONS = ("list", "head", "get", "put", "copy", "delete", "other")
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics(Collector):
    """The requests of one worker. Each child is bound once: looking it up costs more than observing."""

    def __init__(self, gate: Gate) -> None:
        seconds = Histogram(
            names.METRIC_REQUEST_SECONDS,
            "Time from sending a request to its answer, without waiting for a turn; transient errors are not counted.",
            ["operation"],
            buckets=_SECONDS,
            registry=None,
        )
        self._observe = {name: seconds.labels(name).observe for name in OPERATIONS}
        self.retries = Counter(names.METRIC_RETRIES, "Requests sent again after a transient error.", registry=None)
        self.throttles = Counter(
            names.METRIC_THROTTLES, "Requests answered by SlowDown, or not answered in time.", registry=None
        )
        in_flight = Gauge(names.METRIC_IN_FLIGHT, "Requests under way.", registry=None)
        in_flight.set_function(lambda: gate.active)
        limit = Gauge(names.METRIC_IN_FLIGHT_LIMIT, "Requests that may be under way now.", registry=None)
        limit.set_function(lambda: gate.limit)
        self._all = (seconds, self.retries, self.throttles, in_flight, limit)

    def answered(self, operation: str, seconds: float) -> None:
        """Count an answer."""
        self._observe[operation](seconds)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus scrapes."""
        for one in self._all:
            yield from one.collect()
