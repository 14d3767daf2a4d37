"""The workers that hear a resource's events, on this machine: a StatefulSet, as far as they need one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from bucketops_api.contract import UnknownResultError
from bucketops_operator.executor import ObservedReplica
from bucketops_operator.local_job import Start
from bucketops_operator.local_worker import Attempt

_PAUSE_SECONDS = 2.0


class LocalSet:
    """As many workers as wanted; one that ends is started again after a pause."""

    def __init__(self, owner: str, root: Path, start: Start) -> None:
        self.owner = owner
        self._root, self._begin = root, start
        self._wanted = 0
        self._numbers = itertools.count(1)
        self._attempts: dict[int, tuple[int, Attempt]] = {}
        self._not_before: dict[int, float] = {}
        self._why: dict[int, str] = {}

    def scale(self, wanted: int) -> None:
        """Have so many from now on; those beyond are told to stop."""
        self._wanted = wanted
        for ordinal, (_, attempt) in self._attempts.items():
            if ordinal >= wanted:
                attempt.stop()
        self.step()

    def step(self) -> Sequence[ObservedReplica]:
        """Collect what has ended, start what is missing, and say how each stands."""
        for ordinal, (_, attempt) in list(self._attempts.items()):
            if attempt.ended() is not None:
                self._why[ordinal] = _why(attempt)
                del self._attempts[ordinal]
                self._not_before[ordinal] = time.monotonic() + _PAUSE_SECONDS
        for ordinal in range(self._wanted):
            if ordinal not in self._attempts and self._not_before.get(ordinal, 0.0) <= time.monotonic():
                number = next(self._numbers)
                self._attempts[ordinal] = number, self._begin(self._root, ordinal, self._root / f"{ordinal}-{number}")
        return [self._observed(ordinal) for ordinal in range(self._wanted)]

    def kill(self) -> None:
        """End all at once."""
        self._wanted = 0
        for _, attempt in self._attempts.values():
            attempt.kill()
        self._attempts.clear()

    def busy(self) -> bool:
        """Whether any is still at work."""
        return any(attempt.ended() is None for _, attempt in self._attempts.values())

    def processes(self) -> Sequence[int]:
        """The ids of those that are processes."""
        return [attempt.pid for _, attempt in self._attempts.values() if attempt.pid]

    def _observed(self, ordinal: int) -> ObservedReplica:
        number, attempt = self._attempts.get(ordinal, (0, None))
        counts = attempt.live() if attempt else {}
        why = "" if attempt else self._why.get(ordinal, "")
        return ObservedReplica(f"replica-{ordinal}", str(number), counts, why=why)


def _why(attempt: Attempt) -> str:
    """Say how a worker ended that was to go on."""
    try:
        result = attempt.result()
    except UnknownResultError as error:
        return f"it ended though nobody had told it to: {error}"
    return f"{result.reason}: {result.message}" if result.reason else result.message
