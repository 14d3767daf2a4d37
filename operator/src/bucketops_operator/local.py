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
from bucketops_operator.executor import Event, Manifest, ObjectName, ObservedRun, Resource
from bucketops_operator.local_job import LocalJob
from bucketops_operator.local_worker import Attempt, ProcessAttempt, RunWorker, ThreadAttempt
from bucketops_operator.objects import limits_name
from bucketops_operator.pods import config_map_names, secret_names

Data = Mapping[str, Mapping[str, str]]
"""By name, the keys and values of each Secret or ConfigMap."""


class Local:
    """Runs of resources on this machine. Everything lies below `root`; `close` stops what still works.

    Workers are processes, or threads of this one where the caller hands in `run_worker`.
    """

    def __init__(
        self,
        root: Path,
        secrets: Data,
        *,
        config_maps: Data | None = None,
        backoff_seconds: float = 1.0,
        run_worker: RunWorker | None = None,
    ) -> None:
        self._root = root
        self._run_worker = run_worker
        self._secrets, self._config_maps = secrets, config_maps or {}
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
                self._mount(owner, name)
                self._jobs[name] = LocalJob(manifest, self._mounts(owner, name), self._backoff, self._start)
                self._jobs[name].step()

    def remove(self, owner: Resource, runs: Collection[str]) -> None:
        """Stop these runs and forget them."""
        for name in runs:
            job = self._jobs.pop(name, None)
            if job is not None:
                job.kill()
            shutil.rmtree(self._mounts(owner, name), ignore_errors=True)

    def discard(self, owner: Resource, objects: Collection[ObjectName]) -> None:
        """No schedule runs on this machine, so none is left behind."""

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

    def busy(self) -> bool:
        """Whether any worker is still at work."""
        return any(job.busy() for job in self._jobs.values())

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

    def _mount(self, owner: Resource, run: str) -> None:
        """What the spec names, as the kubelet would mount it; an absent one is the worker's to tell of."""
        root = self._mounts(owner, run)
        spec = json.loads((root / names.RUN_FILE).read_text())["spec"]
        _fill(root / names.SECRETS_DIR, secret_names(spec), self._secrets)
        _fill(root / names.CONFIG_MAPS_DIR, config_map_names(spec), self._config_maps)


def _fill(folder: Path, wanted: Iterable[str], data: Data) -> None:
    for name in wanted:
        for key, value in data.get(name, {}).items():
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / name / key).write_text(value)
