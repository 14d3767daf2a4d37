"""What happens in a demo, in its order; the words about it are in telling.py."""

from __future__ import annotations

import argparse
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
from bucketops.demo.errors import DemoError
from bucketops.demo.postgres import Database, Role
from bucketops.demo.seaweedfs import Store
from bucketops.demo.seeding import Amounts
from bucketops.demo.server import Servers
from bucketops.demo.site import Reader
from bucketops.demo.telling import Telling
from bucketops.demo.users import temporary_folder
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.errors import WorkerError
from bucketops_operator import private_file
from bucketops_operator.run import command as run_command
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
        return MigrationSpec.model_validate(self.document["spec"])

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

    def command(self, worker: Role) -> list[str]:
        """Write the files of `bucketops run`; its arguments."""
        manifest = self.folder / "s3migration.yaml"
        for place in ("source", "destination"):
            self.document["spec"][place]["endpoint"] = self.store.endpoint
        manifest.write_text(yaml.safe_dump(dict(self.document), sort_keys=False))
        arguments = ["run", "--file", str(manifest)]
        for name, data in (("avatars-s3", self.store.worker.data), ("avatars-db", self.database.secret(worker))):
            file = self.folder / f"{name}.env"
            private_file.replace(file, "".join(f"{key}={value}\n" for key, value in data.items()))
            arguments += ["--secret", f"{name}={file}"]
        return arguments

    def reader(self, website: Role) -> Reader:
        """Return somebody who reads the website as its visitors do."""
        connect, browser = partial(self.database.connect, website), Browser(self.store.endpoint, self.spec)
        return Reader(connect, browser.fetch, self.amounts.rows, threads=1, pause=READ_PAUSE)


def play(objects: int, grace: str) -> int:
    """Start the servers, fill the website, migrate it while it is read; the exit code."""
    telling, amounts = Telling(), Amounts(objects, objects // SHARE)
    with locked_folder(PREFIX, temporary_folder()) as (folder, lock), Servers(lock) as servers:
        _require_room(folder, amounts)
        document = _example(grace)
        store, database = _started(servers, folder, MigrationSpec.model_validate(document["spec"]))
        telling.started(folder)
        demo = Demo(folder, document, amounts, store, database)
        worker, website = Role(rights.ROLE), Role(rights.WEBSITE)
        with telling.seeding(amounts) as done:
            demo.seed(worker, website, done)
        telling.command()
        with demo.reader(website) as reader:
            code = _run(demo.command(worker))
    telling.end(reader)
    return code or int(bool(reader.wrong))


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


def _run(arguments: list[str]) -> int:
    """Do what this command does; its exit code."""
    parser = argparse.ArgumentParser(prog="bucketops")
    run_command.add(parser.add_subparsers())
    options = parser.parse_args(arguments)
    return int(options.run(options))
