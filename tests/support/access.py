"""S3Access on a real MinIO: an admin with the documented rights, and users that come of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from minio import MinioAdmin

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.s3 import policy
from bucketops_api.v1alpha1.access import AccessSpec
from support.avatars import s3_client
from support.driver import Driver, driving, ended
from support.identities import Identity, admin_client, store_user
from support.servers import ADMIN, PASSWORD

ROOT = Identity(ADMIN, PASSWORD)
SECRET = "user-a-s3"


@dataclass
class AccessLab:
    """A MinIO with two buckets' names that nobody has used; `root` seeds and looks, and works nowhere."""

    endpoint: str
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    drivers: list[Any] = field(default_factory=list)

    @property
    def root(self) -> MinioAdmin:
        return admin_client(self.endpoint, ROOT)

    @property
    def s3(self) -> Any:
        return s3_client(self.endpoint, ADMIN, PASSWORD)

    def name(self, what: str) -> str:
        return f"{what}-{self.token}"

    def grant(self, bucket: str, access: str = "ReadWrite", prefix: str = "") -> dict[str, str]:
        return {"bucket": self.name(bucket), "prefix": prefix, "access": access}

    def spec(self, *grants: dict[str, str], user: str = "user-a", **changes: Any) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "provider": "MinIO",
            "admin": {"endpoint": self.endpoint, "credentials": {"secretRef": {"name": "minio-admin"}}},
            "user": self.name(user),
            "grants": list(grants or (self.grant("bucket-a"),)),
            "createBuckets": True,
            "credentialsSecret": {"name": SECRET},
            "interval": "1h",
        }
        return spec | changes

    def admin(self, spec: dict[str, Any]) -> dict[str, str]:
        """Credentials of an admin that has the documented rights and no others."""
        document = policy(*access.admin_statements(AccessSpec.model_validate(spec)))
        return store_user(self.endpoint, ROOT, document).secret()

    def mark(self, name: str = "user-a") -> str:
        """What a Secret says that is for a resource on this server."""
        return names.secret_mark("S3Access", "default", name, self.endpoint)

    def given(self, key: str, secret: str = "given-by-somebody", name: str = "user-a") -> dict[str, str]:  # noqa: S107
        """A Secret of somebody else, with the opt-in."""
        return {names.ACCESS_KEY: key, names.SECRET_KEY: secret, names.SECRET_GIVEN_KEY: self.mark(name)}

    def drive(
        self, spec: dict[str, Any], name: str = "user-a", *, processes: bool = False, **given: dict[str, str]
    ) -> Driver:
        """A resource; `given`: Secrets that exist already, `_` for `-`."""
        existing = {key.replace("_", "-"): value for key, value in given.items()}
        secrets = {"minio-admin": self.admin(spec)} | existing
        context = driving(
            self.folder / f"run-{len(self.drivers)}", secrets, spec, name, kind="S3Access", processes=processes
        )
        self.drivers.append(context)
        return context.__enter__()

    def user(self, driver: Driver, name: str = SECRET) -> Any:
        """An S3 client with what stands in the credentials Secret."""
        pair = self.pair(driver, name)
        return s3_client(self.endpoint, pair[names.ACCESS_KEY], pair[names.SECRET_KEY])

    def pair(self, driver: Driver, name: str = SECRET) -> dict[str, str]:
        return dict(driver.local._secrets[name])  # noqa: SLF001 - the Secret as a pod would see it

    def keys(self, user: str) -> list[str]:
        """Ids of the user's access keys."""
        found = json.loads(self.root.list_service_account(user)).get("accounts") or []
        return [account["accessKey"] for account in found]

    def info(self, spec: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.root.user_info(spec["user"])))


def check(driver: Driver) -> dict[str, Any]:
    """What the periodic check does, now: its time is brought forward."""
    before = driver.status["runs"][-1]["id"]
    status = driver.status | {"verifiedAt": "2026-01-01T00:00:00Z"}
    driver.local.statuses[driver.resource.uid] = status
    return driver.until(lambda status: status["runs"][-1]["id"] != before and settled(status))


def settled(status: dict[str, Any]) -> bool:
    return bool(ended(status) and status["runs"][-1]["result"] != "Running")


def delete(driver: Driver, seconds: float = 60) -> Driver:
    """As `kubectl delete` does; reconciles until nothing holds the resource any more."""
    driver.resource = replace(driver.resource, deleting=True, held=True)
    driver.until(lambda _: driver.resource.uid in driver.local.released, seconds)
    return driver


def allowed(call: Any, **arguments: Any) -> bool:
    """Whether a call is let through; any other answer than a refusal is one."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] != 403
    return True


def matrix(s3: Any, bucket: str, prefix: str = "", key: str = "there") -> dict[str, bool]:
    """Which calls a user's own client gets through, tried independently of the worker's probe."""
    where = {"Bucket": bucket, "Key": prefix + key}
    return {
        "list": allowed(s3.list_objects_v2, Bucket=bucket, Prefix=prefix),
        "get": allowed(s3.get_object, **where),
        "put": allowed(s3.put_object, **where, Body=b"x"),
        "multipart": allowed(s3.create_multipart_upload, **where),
        "delete": allowed(s3.delete_object, **where),
    }


@pytest.fixture
def access_lab(minio: str, tmp_path: Path) -> Iterator[AccessLab]:
    lab = AccessLab(minio, tmp_path)
    yield lab
    for context in lab.drivers:
        context.__exit__(None, None, None)
