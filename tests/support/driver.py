"""Drives the operator's own reconcile with the local executor: whole migrations in seconds, without a cluster."""

from __future__ import annotations

import itertools
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_jobs.worker import work
from bucketops_operator.executor import Manifest, ObservedRun, Resource
from bucketops_operator.local import Data, Local
from bucketops_operator.local_worker import RunWorker
from bucketops_operator.reconcile import reconcile
from bucketops_operator.settings import Settings
from support import kubelet
from support.servers import PASSWORD

SETTINGS = Settings(status_seconds=0.2, keeps_status=True)
BACKOFF_SECONDS = 0.2
"""Until a shard whose worker died begins anew, for the first time."""
RUN_WORKER: RunWorker = work


class Pausing(Local):
    """Lets a test act right before a phase starts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.before: dict[str, Callable[[], object]] = {}
        self.neighbour: Driver | None = None
        """Of another resource that the same operator has."""

    def get(self, kind: str, namespace: str, name: str) -> Resource | None:
        """The other resource as its own driver has it: one operator sees both."""
        other = self.neighbour
        found = other is not None and (other.resource.kind, other.resource.namespace, other.resource.name)
        if other is None or found != (kind, namespace, name):
            return None
        return replace(other.resource, status=other.status)

    def observe(self, owner: Resource) -> Sequence[ObservedRun]:
        theirs = self.neighbour
        if theirs is not None and owner.uid == theirs.resource.uid:
            return theirs.local.observe(owner)
        return super().observe(owner)

    def rotate(self, owner: Resource, name: str, data: Mapping[str, str]) -> None:
        """Change a Secret, and its mounts in running workers as the kubelet does."""
        self._secrets[name] = data
        for mount in (self._root / owner.uid).glob(f"*/{names.SECRETS_DIR}/{name}"):
            kubelet.update(mount, data)

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        objects = list(objects)
        for manifest in objects:
            action = self.before.pop(manifest["metadata"]["labels"][names.LABEL_PHASE], None)
            if action is not None:
                action()
        super().apply(owner, objects)


def _holds(wanted: Callable[[dict[str, Any]], bool], status: dict[str, Any]) -> bool:
    """Nothing runs at the first look of a migration, which writes down the key of its journal."""
    try:
        return wanted(status)
    except LookupError:
        if status.get("runs"):
            raise
        return False


class Driver:
    """One resource and the place where its runs happen; workers are threads, or `processes` that can be killed."""

    def __init__(
        self,
        root: Path,
        secrets: Data,
        spec: dict[str, Any],
        name: str = "avatars",
        *,
        kind: str = "S3Migration",
        processes: bool = False,
    ) -> None:
        if any(PASSWORD in data.values() for data in secrets.values()):
            raise AssertionError("a worker never runs as root: make a user from bucketops_api.privileges")
        run_worker = None if processes else RUN_WORKER
        self.local = Pausing(root, secrets, backoff_seconds=BACKOFF_SECONDS, run_worker=run_worker)
        self.resource = Resource(kind, "default", name, str(uuid.uuid4()), 1, spec)
        self.seen: list[dict[str, Any]] = []
        self.pause = 0.05
        """Seconds between two reconciles, at most: the end of a worker comes before."""
        self.ahead = timedelta(0)
        """How wrong the operator's clock is."""

    def before(self, phase: str, action: Callable[[], object]) -> Driver:
        """Do something right before the first run of a phase starts."""
        self.local.before[phase] = action
        return self

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.local.statuses.get(self.resource.uid, {}))

    def change(self, spec: dict[str, Any]) -> None:
        """As `kubectl apply` does."""
        self.resource = replace(self.resource, spec=spec, generation=self.resource.generation + 1)

    def step(self) -> dict[str, Any]:
        """One reconcile; a status written is a status read by the next."""
        current = replace(self.resource, status=self.status)
        reconcile(current, self.local, datetime.now(UTC) + self.ahead, SETTINGS)
        self.seen.append(self.status)
        return self.status

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 300) -> dict[str, Any]:
        """Reconcile until the status is as wanted."""
        deadline = time.monotonic() + seconds
        while not _holds(wanted, status := self.step()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached in {seconds} s: {status}")
            self.local.wait(self.pause)
        return status

    def kill_workers(self) -> int:
        """SIGKILL every worker of the current run, as soon as there is one; how many died."""

        def alive() -> Sequence[int]:
            runs = self.status.get("runs")
            return self.local.processes(runs[-1]["id"]) if runs else ()

        self.until(lambda _: len(alive()) > 0)
        victims = alive()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return len(victims)

    def finish(self, seconds: float = 300) -> dict[str, Any]:
        """Reconcile until the work has ended or stalled."""
        return self.until(ended, seconds)


def ended(status: dict[str, Any]) -> bool:
    return any(condition(status, c) for c in ("Complete", "Failed", "Stalled"))


def condition(status: dict[str, Any], type_: str) -> bool:
    return any(c["type"] == type_ and c["status"] == "True" for c in status.get("conditions", ()))


def phases(status: dict[str, Any]) -> list[str]:
    """Of all runs, repeats left out."""
    return [phase for phase, _ in itertools.groupby(run["phase"] for run in status["runs"])]


def reason(status: dict[str, Any], type_: str) -> str:
    return next((c["reason"] for c in status.get("conditions", ()) if c["type"] == type_), "")


def message(status: dict[str, Any], type_: str) -> str:
    return next((c["message"] for c in status.get("conditions", ()) if c["type"] == type_), "")


@contextmanager
def driving(
    root: Path,
    secrets: Data,
    spec: dict[str, Any],
    name: str = "avatars",
    *,
    kind: str = "S3Migration",
    processes: bool = False,
) -> Iterator[Driver]:
    driver = Driver(root, secrets, spec, name, kind=kind, processes=processes)
    try:
        yield driver
    finally:
        driver.local.close()
