"""Real MinIO and PostgreSQL for the whole session; fresh buckets, database and identity for each test."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.privileges.migration import sql_grants
from bucketops_api.v1alpha1.migration import MigrationRequest
from bucketops_api.v1alpha1.rollback import work_of
from support.avatars import World, cursor_of, s3_client
from support.driver import Driver, driving
from support.identities import Identity, forbid, migration_user
from support.servers import (
    ADMIN,
    PASSWORD,
    Server,
    dsn_of,
    start_minio,
    start_moto,
    start_postgres,
    start_seaweedfs,
    start_versitygw,
)


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_minio(tmp_path_factory.mktemp("minio"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_versitygw(tmp_path_factory.mktemp("versitygw"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_seaweedfs(tmp_path_factory.mktemp("seaweedfs"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_moto(tmp_path_factory.mktemp("moto"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """In a folder of its own: pytest closes its own to other users whenever another session begins."""
    with tempfile.TemporaryDirectory(prefix="bucketops-postgres-") as folder:
        server = start_postgres(Path(folder))
        yield server
        server.stop()


@dataclass
class Lab:
    """A world with a migration to run in it."""

    world: World
    endpoint: str
    database: dict[str, str]
    root: Path
    drivers: list[Any]
    grants: bool = True
    """Whether the role gets the documented rights."""
    former: list[str] = field(default_factory=list)
    """Secret keys of earlier identities: whoever puts another one into the Secret keeps them, as documented."""

    def spec(self, *, endpoint: str = "", chunk: int = 1000, **changes: Any) -> dict[str, Any]:
        """The example's spec with this test's buckets; `changes` replace whole fields.

        `endpoint`: another way to the server, e.g. a proxy; `chunk`: objects and rows at once.
        """
        place = {"endpoint": endpoint or self.endpoint, "credentials": {"secretRef": {"name": "avatars-s3"}}}
        spec: dict[str, Any] = {
            "mode": "Apply",
            "source": {"bucket": self.world.source, "prefix": "image/", **place},
            "destination": {"bucket": self.world.destination, "prefix": "avatar/", **place},
            "filter": {"include": ["avatar-*.png"]},
            "database": {
                "credentials": {"secretRef": {"name": "avatars-db"}},
                "references": [{"table": "avatars", "key": "id", "column": "path"}],
                "batchSize": chunk,
            },
            "cleanup": {"policy": "Delete", "grace": "1s"},
            "worker": {"parallelism": 2, "shards": 2, "concurrency": 8},
        }
        return spec | changes

    def secrets(self, spec: dict[str, Any], origin: dict[str, Any] | None = None) -> dict[str, dict[str, str]]:
        """Credentials of a user and a role that have the documented rights and no others."""
        of = MigrationRequest.model_validate(origin) if origin else None
        model = work_of(MigrationRequest.model_validate(spec), of)
        user = migration_user(self.endpoint, Identity(ADMIN, PASSWORD), model)
        if model.database is not None and self.grants:
            for grant in sql_grants(model.database, self.database["PGUSER"]):
                self.world.sql(grant)
        self.user = user
        kept = {names.FORMER_SECRET_KEYS: " ".join(self.former)} if self.former else {}
        self.former = [user.password, *self.former]
        return {"avatars-s3": user.secret() | kept, "avatars-db": self.database}

    def forbid(self, action: str, resource: str) -> Callable[[], object]:
        """Take one right from the last migration's user; what is returned gives it back."""
        return forbid(self.endpoint, Identity(ADMIN, PASSWORD), self.user, action, resource)

    def drive(
        self,
        spec: dict[str, Any],
        name: str = "avatars",
        *,
        processes: bool = False,
        secrets: dict[str, dict[str, str]] | None = None,
        origin: Driver | None = None,
    ) -> Driver:
        """A migration in this world; `secrets` replace those with the documented rights.

        `origin`: the migration that this one rolls back; the same operator has both.
        """
        of = dict(origin.resource.spec) if origin else None
        given = self.secrets(spec, of) | (secrets or {})
        context = driving(self.root / f"run-{len(self.drivers)}", given, spec, name, processes=processes)
        self.drivers.append(context)
        driver = context.__enter__()
        driver.local.neighbour = origin
        return driver


@pytest.fixture
def lab(minio: str, postgres: Server, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(minio, postgres.port, tmp_path) as lab:
        yield lab


@contextmanager
def laboratory(minio: str, port: int, root: Path) -> Iterator[Lab]:
    """Fresh buckets, database and identity; the database is reached by this port, by its administrator too."""
    token = secrets.token_hex(4)
    with cursor_of(dsn_of(port)) as cursor:
        cursor.execute(f"CREATE DATABASE db_{token}")
        cursor.execute(f"CREATE ROLE role_{token} LOGIN")
    dsn = dsn_of(port, f"db_{token}")
    world = World(s3_client(minio, ADMIN, PASSWORD), dsn, f"legacy-{token}", f"production-{token}")
    database = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "PGUSER": f"role_{token}",
        "PGDATABASE": f"db_{token}",
    }
    lab = Lab(world, minio, database, root, [])
    try:
        yield lab
    finally:
        for context in lab.drivers:
            context.__exit__(None, None, None)


@pytest.fixture
def make(lab: Lab) -> Callable[..., Driver]:
    return lab.drive
