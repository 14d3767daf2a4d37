"""One Indexed Job, interpreted on this machine: an index is a worker process, tried again as the Job says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bucketops_api import names
from bucketops_api.contract import RunResult, total
from bucketops_api.names import run_number
from bucketops_api.reasons import Reason
from bucketops_operator.executor import Manifest, ObservedRun
from bucketops_operator.scrape import live_counts

_TAIL = 500  # characters of a log


@dataclass
class Index:
    """One shard: its process while it works, its result when it has ended."""

    number: int
    state: Literal["waiting", "active", "succeeded", "failed"] = "waiting"
    failures: int = 0
    not_before: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    attempt: int = 0
    result: RunResult = field(default_factory=RunResult)


class LocalJob:
    """Interprets `spec` of a Job; `step` lets it get on."""

    def __init__(self, manifest: Manifest, root: Path, backoff_seconds: float) -> None:
        self._root, self._backoff = root, backoff_seconds
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
            for index in self._active():
                _signal(index, signal.SIGTERM)
        else:
            self._start_more()
        return self._observed()

    def kill(self) -> None:
        """End all processes at once, as a node's death would."""
        for index in self._active():
            _signal(index, signal.SIGKILL)
            if index.process:
                index.process.wait()

    def processes(self) -> Sequence[int]:
        """Their process ids."""
        return [index.process.pid for index in self._active() if index.process]

    def _active(self) -> list[Index]:
        return [index for index in self._indexes if index.state == "active"]

    def _start_more(self) -> None:
        free = int(self._spec["parallelism"]) - len(self._active())
        due = [i for i in self._indexes if i.state == "waiting" and i.not_before <= time.monotonic()]
        for index in due[: max(0, free)]:
            self._start(index)

    def _start(self, index: Index) -> None:
        index.attempt += 1
        index.port = _free_port()
        index.state = "active"
        with self._log(index).open("wb") as log:
            index.process = subprocess.Popen(
                [sys.executable, "-m", "bucketops_jobs"],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(index),
            )

    def _environment(self, index: Index) -> dict[str, str]:
        """Nothing of ours that a pod would not have: no libpq or AWS variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PG"))}
        return kept | {
            names.ENV_ROOT: str(self._root),
            names.ENV_INDEX: str(index.number),
            names.ENV_RESULT: str(self._file(index, "result")),
            names.ENV_METRICS_PORT: str(index.port),
        }

    def _file(self, index: Index, kind: str) -> Path:
        return self._root / f"{index.number}-{index.attempt}.{kind}"

    def _log(self, index: Index) -> Path:
        return self._file(index, "log")

    def _collect(self, index: Index) -> None:
        """What the Job controller does with a pod that has ended, by its exit code."""
        code = index.process.poll() if index.process else None
        if code is None:
            return
        index.result = self._read_result(index, code)
        index.process = None
        if code == names.EXIT_DONE:
            index.state = "succeeded"
        elif code == names.EXIT_USER:
            index.state, self._failure = "failed", index.result
        elif self._spec["suspend"] or self._failure is not None:
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

    def _read_result(self, index: Index, code: int) -> RunResult:
        try:
            return RunResult.model_validate_json(self._file(index, "result").read_text())
        except (OSError, ValidationError):
            log = self._log(index).read_text(errors="replace").strip()
            tail = log[-_TAIL:] or "nothing logged"
            return RunResult(reason=Reason.RUN_FAILED, message=f"shard {index.number} ended with {code}: {tail}")

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
        )

    def _live(self, active: Sequence[Index]) -> dict[str, int]:
        found: dict[str, int] = {}
        for index in active:
            for name, amount in live_counts(["127.0.0.1"], index.port).items():
                found[name] = found.get(name, 0) + amount
        return found

    def _state(self, succeeded: int, failed: int) -> Literal["Running", "Succeeded", "Failed"]:
        if self._failure is not None:
            return "Failed"
        if succeeded + failed < len(self._indexes):
            return "Running"
        return "Failed" if failed else "Succeeded"


def _signal(index: Index, number: signal.Signals) -> None:
    if index.process is not None and index.process.poll() is None:
        index.process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
