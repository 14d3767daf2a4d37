"""Buckets of deployments on real servers, with the dates that a test gives them, and a worker that retains them."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.contract import RunResult, RunSpec, resolved
from bucketops_api.privileges.retention import statements
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.places import Current
from bucketops_jobs.worker import work
from support.avatars import s3_client
from support.identities import Identity, retention_user
from support.servers import ADMIN, PASSWORD

SECRET = "deployments-s3"


@dataclass
class Deployments:
    """One bucket, with the rights of an administrator."""

    endpoint: str
    bucket: str
    s3: Any
    files: Path | None = None
    """Where the server keeps objects as files whose times it lists; None: it takes dates in a header (MinIO)."""
    times: threading.local = field(default_factory=threading.local)

    def make(self, **how: Any) -> Deployments:
        self.s3.create_bucket(Bucket=self.bucket, **how)
        if self.files is None:
            self.s3.meta.events.register("before-call.s3.PutObject", self._date)
        return self

    def _date(self, params: dict[str, Any], **_: object) -> None:
        """As a replica of another MinIO: then the object bears the date that it had there."""
        when = getattr(self.times, "when", None)
        if when is not None:
            params["headers"]["X-Minio-Source-Mtime"] = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            params["headers"]["X-Minio-Source-Replication-Request"] = "true"

    def put(self, key: str, days: float | None = None, body: bytes = b"x") -> None:
        """An object of some age; None: of now."""
        when = None if days is None else datetime.now(UTC) - timedelta(days=days)
        self.times.when = when
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.times.when = None
        if when is not None and self.files is not None:
            os.utime(self.files / self.bucket / key, (when.timestamp(), when.timestamp()))

    def deploy(self, name: str, days: float | None = None, assets: int = 2) -> None:
        """A small web application."""
        self.put_all([(f"{name}/assets/{n:05}.css", days) for n in range(assets)] + [(f"{name}/index.html", days)])

    def put_all(self, objects: Iterable[tuple[str, float | None]]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: self.put(*each), objects))

    def remove(self) -> None:
        """The bucket with all that is in it; one that is not there is fine."""
        try:
            while found := self.s3.list_object_versions(Bucket=self.bucket):
                rows = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
                if not rows:
                    break
                objects = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            self.s3.delete_bucket(Bucket=self.bucket)
        except self.s3.exceptions.NoSuchBucket:
            return

    def keys(self, prefix: str = "") -> set[str]:
        """Of all objects but our records."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return {key for key in found if not key.startswith(names.RECORDS_FOLDER)}

    def now(self) -> datetime:
        """The time of the server, as its answers have it: whole seconds."""
        headers = self.s3.head_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPHeaders"]
        return parsedate_to_datetime(headers["date"])

    def last_marker(self) -> datetime:
        """The date of the newest delete marker."""
        found = self.s3.list_object_versions(Bucket=self.bucket)["DeleteMarkers"]
        return max(row["LastModified"] for row in found)

    def folders(self, prefix: str = "") -> set[str]:
        return {key.removeprefix(prefix).split("/", 1)[0] for key in self.keys(prefix) if "/" in key[len(prefix) :]}

    def records(self, below: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=names.RECORDS_FOLDER)
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return [key for key in found if f"/{below}" in key]

    def report(self, key: str) -> dict[str, dict[str, Any]]:
        """Its lines by folder."""
        data = gzip.decompress(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        lines = [json.loads(line) for line in data.decode().split("\n") if line]
        return {line["folder"]: line for line in lines}

    def spec(self, **changes: Any) -> dict[str, Any]:
        """The example's rules on this bucket; `changes` replace whole fields."""
        place = {"bucket": self.bucket, "endpoint": self.endpoint, "credentials": {"secretRef": {"name": SECRET}}}
        plain: dict[str, Any] = {
            "mode": "Apply",
            "bucket": place | changes.pop("place", {}),
            "delete": {"olderThan": "30d"},
            "keep": {"last": 2},
            "guards": {"maxDeletePercent": 100},
            "worker": {"concurrency": 8},
        }
        return plain | changes


@dataclass(frozen=True)
class Mixed:
    """So many deployments, one a day: small, nested, large and oddly named ones, whose names are prefixes of others.

    Their objects have one byte each. There are objects above the folders too.
    """

    count: int

    def names(self) -> dict[str, int]:
        """The names, and how many days old each is."""
        return {self._name(days): days for days in range(1, self.count + 1)}

    def _name(self, days: int) -> str:
        odd = {0: f"déploiement {days}", 1: f"部署-{days}", 2: f"a+b=c&{days}"}
        return odd.get(days % 40, f"deploy{days}")

    def objects(self) -> list[tuple[str, float | None]]:
        """Keys and ages in days, half a day off every bound."""
        inside = [(key, days - 0.5) for name, days in self.names().items() for key in self._keys(name, days)]
        return [*inside, *((key, 2000.0) for key in ("index.html", "robots.txt", "deploy1", "deploy7.json"))]

    def _keys(self, name: str, days: int) -> list[str]:
        if days % 400 == 399:
            return [f"{name}/assets/{number:05}.js" for number in range(1050)] + [f"{name}/index.html"]
        if days % 3 == 0:
            return [f"{name}/css/font.css", f"{name}/js/a/b/c/app.js", f"{name}/index.html"]
        return [f"{name}/index.html"] if days % 3 == 1 else [f"{name}/index.html", f"{name}/été.png"]

    def keys(self, names: Iterable[str] | None = None) -> set[str]:
        """Of these deployments (None: of all), with what lies above them."""
        chosen = set(self.names() if names is None else names)
        return {key for key, _ in self.objects() if "/" not in key or key.split("/", 1)[0] in chosen}

    def younger_than(self, days: int) -> set[str]:
        return {name for name, age in self.names().items() if age < days}


@dataclass
class Retainer:
    """Runs the worker by itself, as a user who has the documented rights and no others."""

    root: Path
    deployments: Deployments
    user: Callable[[RetentionSpec], Identity]
    stop: threading.Event = field(default_factory=threading.Event)
    runs: int = 0

    def __call__(self, **changes: Any) -> RunResult:
        """The result of a run that ends well."""
        code, result = self.attempt(**changes)
        assert code == names.EXIT_DONE, result
        return result

    def attempt(self, **changes: Any) -> tuple[int, RunResult]:
        spec = RetentionSpec.model_validate(self.deployments.spec(**changes))
        self.runs += 1
        root = self.mount(self.root / f"run-{self.runs}", spec)
        return work(root, 0, self.stop)

    def mount(self, root: Path, spec: RetentionSpec) -> Path:
        run = RunSpec(kind="S3Retention", phase="retain", namespace="default", name="web", run="web-1-retain",
                      spec=resolved(spec))  # fmt: skip
        (root / names.RUN_FILE).parent.mkdir(parents=True)
        (root / names.RUN_FILE).write_text(run.model_dump_json(by_alias=True))
        secret = root / names.SECRETS_DIR / SECRET
        secret.mkdir(parents=True)
        for key, value in self.user(spec).secret().items():
            (secret / key).write_text(value)
        return root


class KilledError(Exception):
    """The worker is gone."""


def retain_place(monkeypatch: pytest.MonkeyPatch, dead: Any) -> pytest.MonkeyPatch:
    """Every store call fails for good once `dead` says so, as if the process were gone."""
    delete = Current.delete

    def dying(self: Current, entries: Any) -> Any:
        if dead():
            raise KilledError
        return delete(self, entries)

    monkeypatch.setattr(Current, "delete", dying)
    return monkeypatch


@pytest.fixture
def deployments(minio: str) -> Deployments:
    """A bucket on MinIO."""
    return Deployments(minio, f"deployments-{secrets.token_hex(4)}", s3_client(minio, ADMIN, PASSWORD)).make()


@pytest.fixture
def retain(deployments: Deployments, tmp_path: Path) -> Iterator[Retainer]:
    users: dict[str, Identity] = {}

    def user(spec: RetentionSpec) -> Identity:
        """The same for the same rights, as in a cluster: one attempt goes on with what another has begun."""
        rights = json.dumps(statements(spec))
        if rights not in users:
            users[rights] = retention_user(deployments.endpoint, Identity(ADMIN, PASSWORD), spec)
        return users[rights]

    return Retainer(tmp_path, deployments, user)


@pytest.fixture
def versioned(deployments: Deployments) -> Deployments:
    deployments.s3.put_bucket_versioning(Bucket=deployments.bucket, VersioningConfiguration={"Status": "Enabled"})
    return deployments


def versions(deployments: Deployments) -> list[str]:
    """The key of each version and delete marker, without records."""
    found = deployments.s3.list_object_versions(Bucket=deployments.bucket)
    rows = [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]
    return sorted(row["Key"] for row in rows if not row["Key"].startswith(names.RECORDS_FOLDER))
