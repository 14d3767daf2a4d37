"""Migrations without rows, from one server's bucket to another's: each place with a user of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bucketops_api.privileges import migration
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import s3_client
from support.driver import Driver, driving
from support.identities import Identity, anybody, gateway_user, store_user, weed_user
from support.servers import ADMIN, PASSWORD

ROOT = Identity(ADMIN, PASSWORD)
MAKE = {"minio": store_user, "versitygw": gateway_user, "moto": anybody, "seaweedfs": weed_user}
"""How each server's users are made."""


@dataclass
class Place:
    """A bucket of a server, with an administrator's client."""

    server: str
    endpoint: str
    bucket: str = field(default_factory=lambda: f"place-{secrets.token_hex(4)}")
    through: str = ""
    """The endpoint that the worker is told, where it is another (a proxy)."""

    def __post_init__(self) -> None:
        self.s3 = s3_client(self.endpoint, ADMIN, PASSWORD)

    def make(self, **options: Any) -> Place:
        self.s3.create_bucket(Bucket=self.bucket, **options)
        return self

    def put(self, key: str, body: bytes = b"", **options: Any) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body or key.encode(), **options)

    def put_in_parts(self, key: str, *parts: bytes, **options: Any) -> str:
        """Upload as a multipart upload; the answer is the ETag."""
        names = {"Bucket": self.bucket, "Key": key}
        upload = self.s3.create_multipart_upload(**names, **options)["UploadId"]
        made = [
            {
                "PartNumber": n,
                "ETag": self.s3.upload_part(**names, UploadId=upload, PartNumber=n, Body=part)["ETag"],
            }
            for n, part in enumerate(parts, 1)
        ]
        done = self.s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={"Parts": made})
        return str(done["ETag"]).strip('"')

    def body(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def head(self, key: str) -> dict[str, Any]:
        return dict(self.s3.head_object(Bucket=self.bucket, Key=key))

    def tags(self, key: str) -> dict[str, str]:
        found = self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def keys(self, prefix: str = "") -> set[str]:
        """Below a prefix, without it; records left out."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return {key.removeprefix(prefix) for key in found if ".bucketops/" not in key}

    def uploads(self) -> list[str]:
        """Keys of multipart uploads that are under way. MinIO lists those of one key alone."""
        return [row["Key"] for row in self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())]

    def ref(self, prefix: str, secret: str) -> dict[str, Any]:
        credentials = {"secretRef": {"name": secret}}
        endpoint = self.through or self.endpoint
        return {"bucket": self.bucket, "prefix": prefix, "endpoint": endpoint, "credentials": credentials}


def spec(source: Place, destination: Place, **changes: Any) -> dict[str, Any]:
    """From image/ to avatar/, the originals deleted; `changes` replace whole fields."""
    return {
        "mode": "Apply",
        "source": source.ref("image/", "one"),
        "destination": destination.ref("avatar/", "other"),
        "cleanup": {"policy": "Delete", "grace": "1s"},
        "worker": {"parallelism": 1, "shards": 1, "concurrency": 8},
    } | changes


def users(source: Place, destination: Place, wanted: dict[str, Any]) -> dict[str, Identity]:
    """A user of each place (one of both in one bucket) with the rights that are documented for it, and no others."""
    model = MigrationSpec.model_validate(wanted)
    parts = {"one": (source, migration.source_statements), "other": (destination, migration.destination_statements)}
    if (source.endpoint, source.bucket) == (destination.endpoint, destination.bucket):
        return dict.fromkeys(parts, user_of_both(source, model))
    made = {}
    for name, (place, statements) in parts.items():
        buckets = {one.bucket for one in (source, destination) if one.endpoint == place.endpoint}
        found = _of_buckets(place, buckets, statements(model))
        made[name] = MAKE[place.server](place.endpoint, ROOT, migration.policy(*found))
    return made


def user_of_both(place: Place, spec: MigrationSpec) -> Identity:
    """One user of source and destination, on the server of `place`, which may then copy by itself."""
    statements = *migration.source_statements(spec), *migration.destination_statements(spec)
    return MAKE[place.server](place.endpoint, ROOT, migration.policy(*statements))


def _of_buckets(place: Place, buckets: Iterable[str], statements: Iterable[Any]) -> list[Any]:
    """versitygw's rights stand in the policies of its buckets: what is said of another server's has no place there."""
    if place.server != "versitygw":
        return list(statements)
    return [s for s in statements if any(f":::{bucket}" in s["Resource"][0] for bucket in buckets)]


@contextmanager
def migrating(
    root: Path,
    source: Place,
    destination: Place,
    *,
    given: dict[str, Identity] | None = None,
    place: Any = None,
    processes: bool = False,
    **changes: Any,
) -> Iterator[Driver]:
    """A migration between two places; `place` replaces how the destination is written in the spec.

    Its workers are threads, or `processes` that can be killed.
    """
    wanted = spec(source, destination, **changes) | ({"destination": place} if place else {})
    found = given or users(source, destination, wanted)
    secret = {name: user.secret() for name, user in found.items()}
    with driving(root, secret, wanted, processes=processes) as driver:
        yield driver


def warned(driver: Driver) -> str:
    """What the preflight warned of."""
    return "; ".join(event.message for _, event in driver.local.events if event.reason == "PreflightWarning")
