"""What happens in a demo, in its order; the words about it are in telling.py."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from bucketops.demo import postgres, rights, seaweedfs, seeding
from bucketops.demo.browser import Browser
from bucketops.demo.ending import End, then_undisturbed
from bucketops.demo.errors import DemoError
from bucketops.demo.postgres import Database, Role
from bucketops.demo.seaweedfs import Store
from bucketops.demo.server import Servers
from bucketops.demo.site import Amounts, Reader
from bucketops.demo.telling import Telling, program
from bucketops.demo.users import temporary_folder
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.errors import WorkerError
from bucketops_operator import private_file
from bucketops_operator.run.command import work
from bucketops_operator.run.manifest import Manifest, read
from bucketops_operator.run.stopping import Stop
from bucketops_operator.run.workspace import locked_folder

PREFIX = "bucketops-demo-"
SHARE = 20
"""So many legacy avatars there are for each modern one."""
NEEDED, PER_OBJECT = 300 << 20, 8 << 10
"""Bytes of disk that a demo takes, at most."""
READ_PAUSE = 0.05
"""Seconds between two reads."""
T = TypeVar("T")


@dataclass(frozen=True)
class Demo:
    """A website on two servers that run, and the migration that moves its pictures."""

    folder: Path
    document: Mapping[str, Any]
    amounts: Amounts
    store: Store
    database: Database

    @property
    def spec(self) -> MigrationSpec:
        """Of the migration."""
        return _spec(self.document)

    def seed(self, worker: Role, website: Role, done: Callable[[int], None]) -> None:
        """Fill bucket and table; `done` is told how many objects are there."""
        seeding.rows(self.database, self.amounts)
        for role in (worker, website):
            self.database.add(role)
        self.database.execute(*rights.grants(self.spec))
        try:
            seeding.objects(self.store, self.spec, self.amounts, self.folder / "seeding", done)
        except WorkerError as error:
            raise DemoError(f"the website could not be filled: {error}") from error

    def manifest(self, worker: Role) -> Manifest:
        """Write the files of `bucketops run`, and read them as it does."""
        manifest = self.folder / "s3migration.yaml"
        for place in ("source", "destination"):
            self.document["spec"][place]["endpoint"] = self.store.endpoint
        manifest.write_text(yaml.safe_dump(dict(self.document), sort_keys=False))
        files = []
        for name, data in (("avatars-s3", self.store.worker.data), ("avatars-db", self.database.secret(worker))):
            file = self.folder / f"{name}.env"
            private_file.replace(file, "".join(f"{key}={value}\n" for key, value in data.items()))
            files.append(f"{name}={file}")
        return read(manifest, files)

    def reader(self, website: Role) -> Reader:
        """Return somebody who reads the website as its visitors do."""
        connect, browser = partial(self.database.connect, website), Browser(self.store.endpoint, self.spec)
        return Reader(connect, browser.fetch, self.amounts.rows, threads=1, pause=READ_PAUSE)


def play(objects: int, grace: str, end: End) -> int:
    """Start the servers, fill the website, migrate it while it is read; the exit code."""
    telling, amounts = Telling(), Amounts(objects, objects // SHARE)
    with locked_folder(PREFIX, temporary_folder()) as (folder, lock), Servers(lock) as servers, then_undisturbed():
        _require_room(folder, amounts)
        document = _example(grace)
        with telling.step(
            "starting SeaweedFS (S3) and PostgreSQL", "servers: SeaweedFS (S3) and PostgreSQL on loopback"
        ):
            demo = Demo(folder, document, amounts, *_started(servers, folder, _spec(document)))
        worker, website = Role(rights.ROLE), Role(rights.WEBSITE)
        with telling.seeding(amounts) as done:
            demo.seed(worker, website, done)
        telling.say("\n$ bucketops run -f manifests/examples/s3migration.yaml")
        manifest, began = demo.manifest(worker), telling.seconds
        end.require_going()
        with demo.reader(website) as reader:
            status = work(manifest, _AsEnd(end), None)
            end.require_going()
    code = telling.end(manifest.resource, status, telling.seconds - began, reader)
    telling.say(f"All of it took {telling.seconds:.0f} s. Both servers have ended, and their data is gone.")
    telling.what_next(_what_next(program()))
    return code


class _AsEnd(Stop):
    """The end of the demo, as the end of a run that waits for no safe point."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self._end = end

    @property
    def wanted(self) -> bool:
        return self._end.wanted

    @property
    def at_once(self) -> bool:
        return self._end.wanted


def _what_next(bucketops: str) -> list[tuple[str, str]]:
    return [
        (f"{bucketops} policy S3Migration -f FILE", "the least rights that a migration of yours needs"),
        (
            f"{bucketops} run -f FILE --secret NAME=FILE.env",
            "run it from here; with mode: Plan it only looks",
        ),
        ("make demo ENGINE=kind", "the same in Kubernetes, with MinIO; needs Docker, kind, kubectl and helm"),
        ("make demo ENGINE=host", "the same in a Kubernetes that is built here; needs Debian, root and Go"),
    ]


def _spec(document: Mapping[str, Any]) -> MigrationSpec:
    return MigrationSpec.model_validate(document["spec"])


def _require_room(folder: Path, amounts: Amounts) -> None:
    needed, free = NEEDED + PER_OBJECT * amounts.legacy, shutil.disk_usage(folder).free
    if free < needed:
        raise DemoError(
            f"{folder.parent} has {free >> 20} MiB left, and the demo takes up to {needed >> 20} MiB: set TMPDIR to a "
            "folder on a larger disk"
        )


def _example(grace: str) -> dict[str, Any]:
    """Return manifests/examples/s3migration.yaml."""
    text = resources.files("bucketops.demo").joinpath("s3migration.yaml").read_text()
    document = dict(yaml.safe_load(text))
    if grace:
        document["spec"]["cleanup"]["grace"] = grace
    return document


def _started(servers: Servers, folder: Path, spec: MigrationSpec) -> tuple[Store, Database]:
    """Return both servers; each starts while the other does."""
    worker, public = rights.of_the_migration(spec), rights.of_the_public(spec)
    starting = _beside(partial(seaweedfs.start, servers, folder / "seaweedfs", worker, public))
    database = postgres.start(servers, folder / "postgresql")
    return starting.result(), database


def _beside(work: Callable[[], T]) -> Future[T]:
    """Do something in a thread that is not waited for, should this process end before."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
