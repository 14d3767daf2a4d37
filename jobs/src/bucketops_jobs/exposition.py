"""What a worker has counted and measured, as Prometheus reads it.

Imported when somebody asks for the first time: the libraries take as long as all other imports, and many workers end
before they are asked.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bucketops_api import counts, names, serving
from bucketops_jobs.metrics import BOUNDS, Metrics
from bucketops_jobs.tally import Tally


def serve(listener: socket.socket, tally: Tally) -> None:
    """Answer whoever connects to this socket, from a thread of its own."""
    serving.serve(make_wsgi_app(registry_of(tally)), listener)


def registry_of(tally: Tally) -> CollectorRegistry:
    """Return everything that a worker shows."""
    registry = CollectorRegistry(support_collectors_without_names=True)  # so that who asks for counts alone finds them
    registry.register(Counts(tally))
    ProcessCollector(registry=registry)
    return registry


class Counts(Collector):
    """The counts of a worker (see bucketops_api.counts), and what its requests met."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Of Collector."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, amount in sorted(self._tally.shown().items()):
            family, labels = counts.to_metric(name)
            make = GaugeMetricFamily if name.startswith(counts.NOW) else CounterMetricFamily
            metric = families.setdefault(family, make(family, "What this worker has counted.", labels=list(labels)))
            metric.add_metric(list(labels.values()), amount)
        yield from families.values()
        if self._tally.requests is not None:
            yield from of_requests(self._tally.requests)


def of_requests(metrics: Metrics) -> Iterator[Metric]:
    """What requests cost and meet."""
    seconds = HistogramMetricFamily(
        names.METRIC_REQUEST_SECONDS,
        "Time from sending a request to its answer, without waiting for a turn; transient errors are not counted.",
        labels=["operation"],
    )
    bounds = [*(str(float(bound)) for bound in BOUNDS), "+Inf"]
    for operation, times in metrics.times().items():
        seconds.add_metric([operation], list(zip(bounds, accumulate(times.counts), strict=True)), times.total)
    yield seconds
    yield CounterMetricFamily(
        names.METRIC_RETRIES, "Requests sent again after a transient error.", value=metrics.retries
    )
    yield CounterMetricFamily(
        names.METRIC_THROTTLES, "Requests answered by SlowDown, or not answered in time.", value=metrics.throttles
    )
    yield GaugeMetricFamily(names.METRIC_IN_FLIGHT, "Requests under way.", value=metrics.gate.active)
    yield GaugeMetricFamily(
        names.METRIC_IN_FLIGHT_LIMIT, "Requests that may be under way now.", value=metrics.gate.limit
    )
