"""The executor on this machine: ConfigMaps are files, Jobs are workers here, Secrets come from the caller.

It interprets the very Job that objects.py builds: completions, parallelism, backoff per index, exit codes, suspend.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from bucketops_api import names
from bucketops_api.v1alpha1.common import Status
from bucketops_operator.executor import Event, Manifest, ObservedRun, Resource
from bucketops_operator.local_job import LocalJob
from bucketops_operator.local_worker import Attempt, ProcessAttempt, RunWorker, ThreadAttempt
from bucketops_operator.objects import limits_name
from bucketops_operator.pods import secret_names

Secrets = Mapping[str, Mapping[str, str]]
"""By name, the keys and values of each Secret."""


class Local:
    """Runs of resources on this machine. Everything lies below `root`; `close` stops what still works.

    Workers are processes, or threads of this one where the caller hands in `run_worker`.
    """

    def __init__(
        self, root: Path, secrets: Secrets, *, backoff_seconds: float = 1.0, run_worker: RunWorker | None = None
    ) -> None:
        self._root = root
        self._run_worker = run_worker
        self._secrets = secrets
        self._backoff = backoff_seconds
        self._jobs: dict[str, LocalJob] = {}
        self.statuses: dict[str, Mapping[str, object]] = {}
        self.events: list[tuple[str, Event]] = []

    def observe(self, owner: Resource) -> Sequence[ObservedRun]:
        """Let the Jobs get on, and say how they stand."""
        return [job.step() for _, job in sorted(self._own(owner), key=lambda pair: pair[1].number)]

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        """Write the files, start the Jobs."""
        for manifest in objects:
            name = str(manifest["metadata"]["name"])
            if manifest["kind"] == "ConfigMap":
                self._write(owner, name, manifest)
            elif name in self._jobs:
                self._jobs[name].patch(manifest)
            else:
                self._mount_secrets(owner, name)
                self._jobs[name] = LocalJob(manifest, self._mounts(owner, name), self._backoff, self._start)
                self._jobs[name].step()

    def remove(self, owner: Resource, runs: Collection[str]) -> None:
        """Stop these runs and forget them."""
        for name in runs:
            job = self._jobs.pop(name, None)
            if job is not None:
                job.kill()
            shutil.rmtree(self._mounts(owner, name), ignore_errors=True)

    def write_status(self, owner: Resource, status: Status) -> None:
        """Keep the status; `status_of` gives it back."""
        self.statuses[owner.uid] = status.model_dump(mode="json", by_alias=True, exclude_none=True)

    def emit(self, owner: Resource, events: Iterable[Event]) -> None:
        """Keep the Events."""
        self.events += [(owner.uid, event) for event in events]

    def close(self) -> None:
        """Stop every process that is still at work."""
        for job in self._jobs.values():
            job.kill()

    def processes(self, run: str) -> Sequence[int]:
        """Process ids of a run's workers, for tests that kill them."""
        return self._jobs[run].processes()

    def _start(self, root: Path, index: int, stem: Path) -> Attempt:
        if self._run_worker is not None:
            return ThreadAttempt(root, index, self._run_worker)
        return ProcessAttempt(root, index, stem)

    def _own(self, owner: Resource) -> Iterable[tuple[str, LocalJob]]:
        return [(name, job) for name, job in self._jobs.items() if job.owner == owner.uid]

    def _mounts(self, owner: Resource, run: str) -> Path:
        return self._root / owner.uid / run

    def _write(self, owner: Resource, name: str, manifest: Manifest) -> None:
        """A ConfigMap as the folder that the pod would see; written beside and renamed, as the kubelet does."""
        run = str(manifest["metadata"]["labels"][names.LABEL_RUN])
        folder = "limits" if name == limits_name(run) else "run"
        target = self._mounts(owner, run) / folder
        target.mkdir(parents=True, exist_ok=True)
        for key, text in manifest["data"].items():
            if manifest.get("immutable") and (target / key).exists():
                continue
            fresh = target / f".{key}.new"
            fresh.write_text(text)
            fresh.rename(target / key)

    def _mount_secrets(self, owner: Resource, run: str) -> None:
        spec = json.loads((self._mounts(owner, run) / names.RUN_FILE).read_text())["spec"]
        for name in secret_names(spec):
            folder = self._mounts(owner, run) / names.SECRETS_DIR / name
            for key, value in self._secrets.get(name, {}).items():
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                (folder / key).write_text(value)
