"""One Indexed Job, interpreted on this machine: an index is a worker, tried again as the Job says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bucketops_api import counts, names
from bucketops_api.contract import RunResult, UnknownResultError, total
from bucketops_api.names import run_number
from bucketops_operator.executor import Manifest, ObservedRun
from bucketops_operator.local_worker import Attempt, ProcessAttempt

Start = Callable[[Path, int, Path], Attempt]
"""Starts an attempt: the folder of the run's files, the shard's number, the stem of the attempt's own files."""


@dataclass
class Index:
    """One shard: its attempt while it works, its result when it has ended."""

    number: int
    state: Literal["waiting", "active", "succeeded", "failed"] = "waiting"
    failures: int = 0
    not_before: float = 0.0
    attempt: Attempt | None = None
    attempts: int = 0
    stopping: bool = False
    """We told it to stop: its end is no failure."""
    result: RunResult = field(default_factory=RunResult)
    unknown: str = ""
    """Why it has no result though it has succeeded."""


class LocalJob:
    """Interprets `spec` of a Job; `step` lets it get on."""

    def __init__(self, manifest: Manifest, root: Path, backoff_seconds: float, start: Start = ProcessAttempt) -> None:
        self._root, self._backoff, self._begin = root, backoff_seconds, start
        self._spec = dict(manifest["spec"])
        labels = manifest["metadata"]["labels"]
        self.owner, self._phase = str(labels[names.LABEL_OWNER]), str(labels[names.LABEL_PHASE])
        self._name = str(manifest["metadata"]["name"])
        self.number = run_number(self._name)
        self._indexes = [Index(number) for number in range(int(self._spec["completions"]))]
        self._failure: RunResult | None = None

    def patch(self, manifest: Manifest) -> None:
        """Take over the two fields that may change."""
        self._spec |= {name: manifest["spec"][name] for name in ("suspend", "parallelism")}

    def step(self) -> ObservedRun:
        """Collect what has ended, start what may start, and say how the Job stands."""
        for index in self._active():
            self._collect(index)
        if self._failure is not None or self._spec["suspend"]:
            self._stop(self._active())
        else:
            self._stop(self._active()[int(self._spec["parallelism"]) :])
            self._start_more()
        return self._observed()

    def kill(self) -> None:
        """End all workers at once, as a node's death would."""
        for index in self._active():
            if index.attempt:
                index.attempt.kill()

    def busy(self) -> bool:
        """Whether any of its workers is still at work."""
        return bool(self._active())

    def ended(self) -> bool:
        """Whether `step` would find that a worker has ended."""
        return any(index.attempt and index.attempt.ended() is not None for index in self._active())

    def processes(self) -> Sequence[int]:
        """The ids of those that are processes."""
        return [index.attempt.pid for index in self._active() if index.attempt and index.attempt.pid]

    def _active(self) -> list[Index]:
        return [index for index in self._indexes if index.state == "active"]

    def _stop(self, indexes: Sequence[Index]) -> None:
        for index in indexes:
            if index.attempt:
                index.attempt.stop()
                index.stopping = True

    def _start_more(self) -> None:
        free = int(self._spec["parallelism"]) - len(self._active())
        due = [i for i in self._indexes if i.state == "waiting" and i.not_before <= time.monotonic()]
        for index in due[: max(0, free)]:
            self._start(index)

    def _start(self, index: Index) -> None:
        index.attempts += 1
        index.state, index.stopping = "active", False
        index.attempt = self._begin(self._root, index.number, self._root / f"{index.number}-{index.attempts}")

    def _collect(self, index: Index) -> None:
        """What the Job controller does with a pod that has ended, by its exit code."""
        code = index.attempt.ended() if index.attempt else None
        if index.attempt is None or code is None:
            return
        try:
            index.result, index.unknown = index.attempt.result(), ""
        except UnknownResultError as error:
            index.result, index.unknown = RunResult(), f"shard {index.number}: {error}"
        index.attempt = None
        if code == names.EXIT_DONE:
            index.state = "succeeded"
        elif code == names.EXIT_USER:
            index.state, self._failure = "failed", index.result
        elif index.stopping:
            index.state = "waiting"
        else:
            self._try_again(index, code)

    def _try_again(self, index: Index, code: int) -> None:
        index.failures += 1
        if code == names.EXIT_SHARD or index.failures > int(self._spec["backoffLimitPerIndex"]):
            index.state = "failed"
            return
        index.state = "waiting"
        index.not_before = time.monotonic() + self._backoff * 2 ** (index.failures - 1)

    def _observed(self) -> ObservedRun:
        active = self._active()
        succeeded = [index for index in self._indexes if index.state == "succeeded"]
        failed = [index for index in self._indexes if index.state == "failed"]
        return ObservedRun(
            run=self._name,
            phase=self._phase,
            state=self._state(len(succeeded), len(failed)),
            shards=len(self._indexes),
            active=len(active),
            succeeded=len(succeeded),
            failed=len(failed),
            pods=len(active),
            suspended=bool(self._spec["suspend"]),
            result=total(index.result for index in succeeded),
            failure=self._failure or next((index.result for index in failed), None),
            live=self._live(active),
            waiting=self._waiting(),
            lost=sum(bool(index.unknown) for index in succeeded),
            unknown=next((index.unknown for index in succeeded if index.unknown), ""),
        )

    def _waiting(self) -> str:
        """Name a shard that has failed and is tried again, as hindrance.py does for a Job of a cluster."""
        for index in self._indexes:
            if index.state == "waiting" and index.failures:
                told = ", ".join(filter(None, (index.result.reason, index.result.message)))
                return f"shard {index.number} is tried again: {told}"
        return ""

    def _live(self, active: Sequence[Index]) -> dict[str, int]:
        found: dict[str, int] = {}
        for index in active:
            found = counts.add(found, dict(index.attempt.live()) if index.attempt else {})
        return found

    def _state(self, succeeded: int, failed: int) -> Literal["Running", "Succeeded", "Failed"]:
        if self._failure is not None:
            return "Failed"
        if succeeded + failed < len(self._indexes):
            return "Running"
        return "Failed" if failed else "Succeeded"
