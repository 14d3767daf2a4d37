"""What a worker has counted so far: shown live as metrics (exposition.py), and said at the end in its result."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from bucketops_api.contract import ASIDE, SAMPLES, RunResult
from bucketops_api.v1alpha1.common import Sample
from bucketops_jobs.metrics import Metrics

_KEY_CHARACTERS, _MESSAGE_CHARACTERS = 256, 300


class Tally:
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
        self.requests: Metrics | None = None
        """Shown with the counts."""
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

    def shown(self) -> dict[str, int]:
        """Return the counts so far, and what is so at this moment."""
        now = dict(self.now())  # before the counts: whoever hears everything again has counted the gap by then
        with self._lock:  # levels together with the counts: what leaves the one comes to the other
            sources = {name: amount for name, amount in now.items() if name not in self._levels}
            return dict(self.counts) | sources | self._raised()

    def live(self) -> dict[str, int]:
        """Return what the operator reads of the metrics that a process serves (exposition.py)."""
        return self.shown() | (self.requests.live() if self.requests else {})
