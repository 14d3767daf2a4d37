"""The executor on this machine: ConfigMaps are files, Jobs are workers here, Secrets come from the caller.

It interprets the very Job that objects.py builds: completions, parallelism, backoff per index, exit codes, suspend.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.masking import MASK
from bucketops_api.v1alpha1.common import Status
from bucketops_operator import private_file
from bucketops_operator.executor import (
    Event,
    Manifest,
    ObjectName,
    ObservedReplica,
    ObservedRun,
    Resource,
    SecretChange,
)
from bucketops_operator.key_pairs import new_pair, not_ours
from bucketops_operator.local_job import LocalJob
from bucketops_operator.local_set import LocalSet
from bucketops_operator.local_worker import Attempt, ProcessAttempt, RunWorker, ThreadAttempt
from bucketops_operator.objects import limits_name
from bucketops_operator.pods import config_map_names, mounted_secrets

Data = Mapping[str, Mapping[str, str]]
"""By name, the keys and values of each Secret or ConfigMap."""
Keep = Callable[[str, Mapping[str, str] | None], None]
"""Told of each Secret that a run makes or changes; None: it is gone."""

_LOOK_SECONDS = 0.02
"""Between two looks whether a worker has ended."""


class Local:
    """Runs of resources on this machine. Everything lies below `root`; `close` stops what still works.

    Workers are processes, or threads of this one where the caller hands in `run_worker`. `beside` are resources that
    others name; nothing is done for them.
    """

    def __init__(
        self,
        root: Path,
        secrets: Data,
        *,
        config_maps: Data | None = None,
        backoff_seconds: float = 1.0,
        run_worker: RunWorker | None = None,
        keep: Keep = lambda _name, _data: None,
        beside: Iterable[Resource] = (),
    ) -> None:
        self._beside = {(other.kind, other.namespace, other.name): other for other in beside}
        self._root, self._keep = root, keep
        self._run_worker = run_worker
        self._secrets, self._config_maps = dict(secrets), config_maps or {}
        self._uids: dict[str, str] = {}
        """Of the Secrets that were made here, as the API server gives them one."""
        self._backoff = backoff_seconds
        self._jobs: dict[str, LocalJob] = {}
        self._sets: dict[str, LocalSet] = {}
        self.statuses: dict[str, Mapping[str, object]] = {}
        self.events: list[tuple[str, Event]] = []
        self.released: set[str] = set()
        self.observed: dict[str, Sequence[ObservedRun]] = {}
        """By the uid of a resource its runs, as they were last observed."""

    def add(self, other: Resource) -> None:
        """Let other resources find this one."""
        self._beside[other.kind, other.namespace, other.name] = other

    def get(self, kind: str, namespace: str, name: str) -> Resource | None:
        """One of those that were handed in; with a status, if it has worked here."""
        found = self._beside.get((kind, namespace, name))
        return replace(found, status=self.statuses.get(found.uid, {})) if found else None

    def observe(self, owner: Resource) -> Sequence[ObservedRun]:
        """Let the Jobs get on, and say how they stand."""
        found = []
        for name, job in sorted(self._own(owner), key=lambda pair: pair[1].number):
            run = job.step()
            self._collect(self._mounts(owner, name) / names.DELIVERED_DIR)
            found.append(replace(run, staged=names.staged_secret(name) in self._secrets))
        self.observed[owner.uid] = found
        return found

    def replicas(self, owner: Resource) -> Sequence[ObservedReplica]:
        """The workers that hear events, started again when they have ended."""
        return [replica for found in self._sets.values() if found.owner == owner.uid for replica in found.step()]

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        """Write the files, start the Jobs and the workers that hear events; nothing here runs by a schedule."""
        for manifest in objects:
            name = str(manifest["metadata"]["name"])
            if manifest["kind"] == "ConfigMap":
                self._write(owner, name, manifest)
            elif manifest["kind"] == "StatefulSet":
                self._scale(owner, name, int(manifest["spec"]["replicas"]))
            elif manifest["kind"] != "Job":
                continue
            elif name in self._jobs:
                self._jobs[name].patch(manifest)
            else:
                self._mount(owner, name)
                self._jobs[name] = LocalJob(manifest, self._mounts(owner, name), self._backoff, self._start)
                self._jobs[name].step()

    def remove(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Stop these runs and forget them."""
        for name in (run.run for run in runs):
            job = self._jobs.pop(name, None)
            if job is not None:
                job.kill()
            shutil.rmtree(self._mounts(owner, name), ignore_errors=True)

    def let_go(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Nothing deletes a namespace here."""

    def discard(self, owner: Resource, objects: Collection[ObjectName]) -> None:
        """No schedule runs on this machine, so none is left behind."""

    def change_secret(self, owner: Resource, change: SecretChange) -> str:  # noqa: ARG002 - all here has one owner
        """As in a cluster, on the Secrets in memory; `keep` is told of each."""
        ours = bool(change.uid) and self._uids.get(change.name) == change.uid
        if change.action == "Drop":
            if ours:
                self._put(change.name, None)
            return ""
        if change.action == "Promote":
            if change.name in self._secrets and not ours:
                raise not_ours(change.name)
            pair = self._secrets[change.staged]
            self._put(change.staged, None)
        elif change.name in self._secrets:
            return ""
        else:
            made = {} if change.action == "MakeEmpty" else new_pair()
            pair = made | {names.SECRET_MADE_KEY: change.mark}
        self._put(change.name, pair)
        self._uids[change.name] = str(uuid.uuid4())
        return self._uids[change.name]

    def hold(self, owner: Resource) -> Resource:
        """Nothing deletes a resource here."""
        return replace(owner, held=True)

    def release(self, owner: Resource) -> None:
        """The same."""
        self.released.add(owner.uid)

    def _put(self, name: str, data: Mapping[str, str] | None) -> None:
        if data is None:
            self._secrets.pop(name, None)
        else:
            self._secrets[name] = data
            MASK.learn(data)
        self._keep(name, data)

    def _collect(self, delivered: Path) -> None:
        """What a worker puts into a Secret by its ServiceAccount in a cluster."""
        for folder in delivered.iterdir() if delivered.is_dir() else ():
            known = self._secrets.get(folder.name, {})
            fresh = {file.name: file.read_text() for file in folder.iterdir()}
            if {**known, **fresh} != dict(known):
                self._put(folder.name, {**known, **fresh})

    def write_status(self, owner: Resource, status: Status) -> None:
        """Keep the status; `status_of` gives it back."""
        self.statuses[owner.uid] = status.model_dump(mode="json", by_alias=True, exclude_none=True)

    def emit(self, owner: Resource, events: Iterable[Event]) -> None:
        """Keep the Events."""
        self.events += [(owner.uid, event) for event in events]

    def close(self, *, wait: bool = True) -> None:
        """Stop every process that is still at work. Threads are waited for until a safe point, unless not to `wait`."""
        if not wait and self._run_worker is not None:
            return
        for job in self._jobs.values():
            job.kill()
        for listeners in self._sets.values():
            listeners.kill()

    def wait(self, seconds: float) -> None:
        """Until a worker of a Job has ended, but no longer than this."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not any(job.ended() for job in self._jobs.values()):
            time.sleep(min(left, _LOOK_SECONDS))

    def busy(self) -> bool:
        """Whether any worker is still at work."""
        return any(job.busy() for job in self._jobs.values()) or any(each.busy() for each in self._sets.values())

    def processes(self, run: str) -> Sequence[int]:
        """Process ids of a run's workers, for tests that kill them."""
        return self._jobs[run].processes()

    def _scale(self, owner: Resource, name: str, replicas: int) -> None:
        if name not in self._sets:
            self._mount(owner, name)
            self._sets[name] = LocalSet(owner.uid, self._mounts(owner, name), self._start)
        self._sets[name].scale(replicas)

    def listeners(self, name: str) -> Sequence[int]:
        """Process ids of the workers that hear events, for tests that kill them."""
        return self._sets[name].processes()

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
        run = name.removesuffix(limits_name(""))
        folder = "run" if run == name else "limits"
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
        read = RunSpec.model_validate_json((root / names.RUN_FILE).read_text())
        fill(root / names.SECRETS_DIR, mounted_secrets(read), self._secrets)
        fill(root / names.CONFIG_MAPS_DIR, config_map_names(read.spec), self._config_maps)


def fill(folder: Path, wanted: Iterable[str], data: Data) -> None:
    """Write each key as a file below `folder`. Names and keys are the manifest's: none may lead out of its folder."""
    for name in wanted:
        for key, value in data.get(name, {}).items():
            if not names.is_object_name(name) or not names.is_data_key(key):
                raise ValueError(f"{name}/{key} cannot be mounted: its name or its key is none of Kubernetes'")
            file = folder / name / key
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            private_file.replace(file, value)
