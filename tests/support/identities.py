"""Users with exactly the rights that the privileges module names; the administrator's are for making them."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import MinioAdmin
from minio.credentials import StaticProvider

from bucketops_api.privileges import exifpipeline, migration, retention, s3
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_api.v1alpha1.retention import RetentionSpec
from support.avatars import s3_client
from support.servers import WEED_USERS, built


@dataclass(frozen=True)
class Identity:
    """One user of the store."""

    name: str
    password: str

    def secret(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.name, "AWS_SECRET_ACCESS_KEY": self.password}


def store_user(endpoint: str, admin: Identity, document: dict[str, object], ca: Path | None = None) -> Identity:
    """Make a MinIO user with one policy."""
    client = admin_client(endpoint, admin, ca)
    user = Identity(f"user-{secrets.token_hex(6)}", secrets.token_hex(16))
    client.user_add(user.name, user.password)
    client.policy_add(f"policy-{user.name}", policy=document)
    client.attach_policy([f"policy-{user.name}"], user=user.name)
    return user


def gateway_user(endpoint: str, admin: Identity, document: dict[str, Any]) -> Identity:
    """Make a versitygw user; its rights stand in the policies of the buckets that `document` speaks of."""
    user = Identity(f"user-{secrets.token_hex(6)}", secrets.token_hex(16))
    signed = ["--access", admin.name, "--secret", admin.password, "--endpoint-url", endpoint]
    made = ["--access", user.name, "--secret", user.password, "--role", "user"]
    subprocess.run([built("versitygw"), "admin", *signed, "create-user", *made], check=True, stdout=subprocess.DEVNULL)
    granted: dict[str, list[dict[str, Any]]] = {}
    for statement in document["Statement"]:
        bucket = statement["Resource"][0].removeprefix("arn:aws:s3:::").partition("/")[0]
        granted.setdefault(bucket, []).append({**statement, "Principal": {"AWS": [user.name]}})
    client = s3_client(endpoint, admin.name, admin.password)
    for bucket, statements in granted.items():
        policy = {**document, "Statement": [*_stated(client, bucket), *statements]}
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    return user


def _stated(client: Any, bucket: str) -> list[dict[str, Any]]:
    """What a bucket's policy says already, of other users."""
    try:
        found = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return []
    return list(found["Statement"])


def anybody(*_: object) -> Identity:
    """moto believes every signature and refuses nothing."""
    return Identity("anybody", "any-password")


def weed_user(*_: object) -> Identity:
    """The user that SeaweedFS began with."""
    key = WEED_USERS["worker"]
    return Identity(key["accessKey"], key["secretKey"])


def forbid(endpoint: str, admin: Identity, user: Identity, action: str, resource: str) -> Callable[[], object]:
    """Take one right from a user, whatever else it may do; what is returned gives it back."""
    statement = {"Effect": "Deny", "Action": [action], "Resource": [f"arn:aws:s3:::{resource}"]}
    client, name = admin_client(endpoint, admin), f"deny-{secrets.token_hex(6)}"
    client.policy_add(name, policy={"Version": "2012-10-17", "Statement": [statement]})
    client.attach_policy([name], user=user.name)
    return lambda: client.detach_policy([name], user=user.name)


def admin_client(endpoint: str, admin: Identity, ca: Path | None = None) -> MinioAdmin:
    parts = urlsplit(endpoint)
    return MinioAdmin(
        endpoint=parts.netloc,
        credentials=StaticProvider(admin.name, admin.password),
        secure=parts.scheme == "https",
        http_client=urllib3.PoolManager(ca_certs=str(ca)) if ca else None,
    )


def store_rights(ref: BucketRef) -> dict[str, Any]:
    """What a store does, in one bucket alone."""
    tagging = ["s3:GetObjectTagging", "s3:PutObjectTagging"]
    objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject", *tagging]
    return s3.policy(
        s3.listing("List", ref, [""]),
        s3.on_bucket("Bucket", ref, ["s3:GetBucketVersioning"]),
        s3.on_keys("Objects", ref, [""], objects),
    )


def migration_user(endpoint: str, admin: Identity, spec: MigrationSpec) -> Identity:
    """One user for source, destination and records: the union of all identities' statements."""
    parts = (migration.source_statements, migration.destination_statements, migration.records_statements)
    statements = [statement for part in parts for statement in part(spec)]
    return store_user(endpoint, admin, migration.policy(*statements))


def retention_user(endpoint: str, admin: Identity, spec: RetentionSpec) -> Identity:
    """The one identity of a retention."""
    return store_user(endpoint, admin, retention.policy(*retention.statements(spec)))


def pipeline_user(endpoint: str, admin: Identity, spec: PipelineSpec) -> Identity:
    """The one identity of a pipeline."""
    return store_user(endpoint, admin, exifpipeline.policy(*exifpipeline.statements(spec)))
