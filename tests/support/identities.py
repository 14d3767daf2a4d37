"""Users with exactly the rights that the privileges module names; the administrator's are for making them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from minio import MinioAdmin
from minio.credentials import StaticProvider

from bucketops_api.privileges import migration, retention
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_api.v1alpha1.retention import RetentionSpec


@dataclass(frozen=True)
class Identity:
    """One user of the store."""

    name: str
    password: str

    def secret(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.name, "AWS_SECRET_ACCESS_KEY": self.password}


def store_user(endpoint: str, admin: Identity, document: dict[str, object]) -> Identity:
    """Make a MinIO user with one policy."""
    client = admin_client(endpoint, admin)
    user = Identity(f"user-{secrets.token_hex(6)}", secrets.token_hex(16))
    client.user_add(user.name, user.password)
    client.policy_add(f"policy-{user.name}", policy=document)
    client.attach_policy([f"policy-{user.name}"], user=user.name)
    return user


def forbid(endpoint: str, admin: Identity, user: Identity, action: str, resource: str) -> None:
    """Take one right from a user, whatever else it may do."""
    statement = {"Effect": "Deny", "Action": [action], "Resource": [f"arn:aws:s3:::{resource}"]}
    client, name = admin_client(endpoint, admin), f"deny-{secrets.token_hex(6)}"
    client.policy_add(name, policy={"Version": "2012-10-17", "Statement": [statement]})
    client.attach_policy([name], user=user.name)


def admin_client(endpoint: str, admin: Identity) -> MinioAdmin:
    parts = urlsplit(endpoint)
    return MinioAdmin(
        endpoint=parts.netloc, credentials=StaticProvider(admin.name, admin.password), secure=parts.scheme == "https"
    )


def migration_user(endpoint: str, admin: Identity, spec: MigrationSpec) -> Identity:
    """One user for source, destination and records: the union of all identities' statements."""
    parts = (migration.source_statements, migration.destination_statements, migration.records_statements)
    statements = [statement for part in parts for statement in part(spec)]
    return store_user(endpoint, admin, migration.policy(*statements))


def retention_user(endpoint: str, admin: Identity, spec: RetentionSpec) -> Identity:
    """The one identity of a retention."""
    return store_user(endpoint, admin, retention.policy(*retention.statements(spec)))
