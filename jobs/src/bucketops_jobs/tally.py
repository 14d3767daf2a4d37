"""What a worker has counted so far: shown live as metrics, and said at the end in its result."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bucketops_api import counts
from bucketops_api.contract import ASIDE, SAMPLES, RunResult
from bucketops_api.v1alpha1.common import Sample

_KEY_CHARACTERS, _MESSAGE_CHARACTERS = 256, 300


class Tally(Collector):
    """Counts, marks and samples of one worker; safe for threads."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.marks: dict[str, datetime] = {}
        self.samples: list[Sample] = []
        self.facts: dict[str, str] = {}
        self.run_sha256 = ""
        """Of the run file that the work follows."""
        self._sources: list[Callable[[], Mapping[str, int]]] = []
        self._levels: Counter[str] = Counter()
        self.beside: list[Collector] = []
        """Whose metrics are shown with the counts."""
        self._lock = threading.Lock()

    def add(self, name: str, amount: int = 1) -> None:
        """Count."""
        with self._lock:
            self.counts[name] += amount

    def raise_level(self, name: str, amount: int) -> None:
        """Change what is so at this moment (a name that begins with counts.NOW); no part of the result."""
        with self._lock:
            self._levels[name] += amount

    def show(self, source: Callable[[], Mapping[str, int]]) -> None:
        """Show, beside the counts, what a source says of this moment, by names that begin with counts.NOW."""
        self._sources.append(source)

    def now(self) -> Mapping[str, int]:
        """Return what is so at this moment, by names that begin with counts.NOW."""
        found: dict[str, int] = {}
        for source in list(self._sources):
            found |= source()
        with self._lock:
            return found | self._raised()

    def _raised(self) -> dict[str, int]:
        return {name: amount for name, amount in self._levels.items() if amount > 0}

    def mark(self, name: str, when: datetime) -> None:
        """Keep the latest time."""
        with self._lock:
            self.marks[name] = max(when, self.marks.get(name, when))

    def sample(self, key: str, outcome: str, message: str, *, first: bool = False, last: bool = False) -> None:
        """Keep an example for people; only the first few, those that are to stand `first` before all others.

        Those that are to stand `last` make room for others.
        """
        cut = {"key": key[:_KEY_CHARACTERS], "message": message[:_MESSAGE_CHARACTERS]}
        one = Sample(outcome=outcome, **cut)
        with self._lock:
            known, end = self.samples, len(self.samples)
            while not last and end and known[end - 1].outcome in ASIDE:
                end -= 1
            kept = [one, *known] if first else [*known[:end], one, *known[end:]]
            self.samples = kept[:SAMPLES]

    def result(self) -> RunResult:
        """Everything as a result."""
        with self._lock:
            return RunResult(
                counts={name: amount for name, amount in self.counts.items() if amount},
                marks=dict(self.marks),
                facts=dict(self.facts),
                samples=tuple(self.samples),
                run_sha256=self.run_sha256,
            )

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus metrics (see bucketops_api.counts)."""
        now = dict(self.now())  # before the counts: whoever hears everything again has counted the gap by then
        with self._lock:  # levels together with the counts: what leaves the one comes to the other
            counted = dict(self.counts)
            now = {name: amount for name, amount in now.items() if name not in self._levels} | self._raised()
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, amount in sorted((counted | now).items()):
            family, labels = counts.to_metric(name)
            make = GaugeMetricFamily if name.startswith(counts.NOW) else CounterMetricFamily
            metric = families.setdefault(family, make(family, "What this worker has counted.", labels=list(labels)))
            metric.add_metric(list(labels.values()), amount)
        yield from families.values()
        for other in self.beside:
            yield from other.collect()
