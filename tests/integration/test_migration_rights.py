"""Least privileges of a migration: it passes with exactly these, and each one that is missing is named beforehand."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from bucketops_api.privileges import migration
from bucketops_api.privileges.s3 import policy
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.access import ROOT
from support.driver import condition, message, reason
from support.identities import forbid, store_user

pytestmark = pytest.mark.slow

WARNED = {
    "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads",
    "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration",
}  # fmt: skip
"""What small objects do not need."""
PLACES: dict[str, Any] = {
    "source": {"bucket": "legacy", "prefix": "image/"},
    "destination": {"bucket": "production", "prefix": "avatar/"},
    "cleanup": {"policy": "Delete"},
}


def rights(part: Any) -> Iterable[tuple[str, str]]:
    """Each action on each resource, as the privileges module has them."""
    for statement in part(MigrationSpec.model_validate(PLACES)):
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                yield action, resource.removeprefix("arn:aws:s3:::")


def needed(identity: str, part: Any) -> list[tuple[str, str, str]]:
    """Without those that some objects need, or a faster way: see below, and test_migration_properties.py."""
    found = [(identity, *right) for right in rights(part)]
    copying = {one for one in found if identity == "destination-s3" and one[2].startswith("legacy")}
    return [one for one in found if "Tagging" not in one[1] and one not in copying and one[1] not in WARNED]


S3_RIGHTS = needed("source-s3", migration.source_statements) + needed(
    "destination-s3", migration.destination_statements
)


def identities(lab: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """One user for the source and another for the destination, each with its own statements alone."""
    model = MigrationSpec.model_validate(spec)
    lab.secrets(spec)  # the grants in the database
    return {
        "source-s3": store_user(lab.endpoint, ROOT, policy(*migration.source_statements(model))),
        "destination-s3": store_user(lab.endpoint, ROOT, policy(*migration.destination_statements(model))),
    }


def two_identities(lab: Any) -> dict[str, Any]:
    spec: dict[str, Any] = lab.spec()
    spec["source"]["credentials"] = {"secretRef": {"name": "source-s3"}}
    spec["destination"] = spec["destination"] | {"credentials": {"secretRef": {"name": "destination-s3"}}}
    return spec


def drive(lab: Any, spec: dict[str, Any], users: dict[str, Any]) -> Any:
    return lab.drive(spec, secrets={name: user.secret() for name, user in users.items()})


def test_the_run_passes_with_exactly_these_rights(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 13), modern=range(20, 23))
    spec = two_identities(lab)
    status = drive(lab, spec, identities(lab, spec)).finish()
    assert condition(status, "Complete"), message(status, "Ready")
    assert status["outcomes"]["moved"] == 12


@pytest.mark.parametrize(("identity", "action", "resource"), S3_RIGHTS, ids=lambda value: value)
def test_a_missing_right_is_named_before_anything_is_changed(
    lab: Any, identity: str, action: str, resource: str
) -> None:
    world = lab.world
    world.seed(legacy=range(1, 4), modern=range(20, 22))
    where = resource.replace("legacy", world.source).replace("production", world.destination)
    before = (world.keys(world.source), world.keys(world.destination), world.paths())
    spec = two_identities(lab)
    users = identities(lab, spec)
    forbid(lab.endpoint, ROOT, users[identity], action, where)
    status = drive(lab, spec, users).finish()
    assert [run["phase"] for run in status["runs"]] == ["preflight"]
    assert reason(status, "Stalled") == "AccessDenied"
    assert action in message(status, "Stalled")
    assert where.partition("/")[0] in message(status, "Stalled")
    assert (world.keys(world.source), world.keys(world.destination), world.paths()) == before


def test_rights_that_small_objects_do_not_need_are_warned_of_and_nothing_is_left_open(lab: Any) -> None:
    """All of them are denied to both identities, and an object that would go in parts goes as a whole."""
    world = lab.world
    world.seed(legacy=range(1, 7))
    large = random.Random(7).randbytes(9 << 20)
    world.s3.put_object(Bucket=world.source, Key="image/avatar-large.png", Body=large)
    spec = two_identities(lab)
    users = identities(lab, spec)
    for user in users.values():
        for action in sorted(WARNED):
            for bucket in (world.source, world.destination):
                forbid(
                    lab.endpoint,
                    ROOT,
                    user,
                    action,
                    bucket if "Bucket" in action or "Life" in action else f"{bucket}/*",
                )
    driver = drive(lab, spec, users)
    status = driver.finish()
    assert condition(status, "Complete"), message(status, "Ready")
    assert status["outcomes"]["moved"] == 7
    assert world.s3.get_object(Bucket=world.destination, Key="avatar/avatar-large.png")["Body"].read() == large
    told = " ".join(event.message for _, event in driver.local.events if event.reason == "PreflightWarning")
    assert all(action in told for action in WARNED), told
    assert not any(world.s3.list_multipart_uploads(Bucket=b).get("Uploads") for b in (world.source, world.destination))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("REVOKE USAGE ON SCHEMA private FROM {role}", "USAGE"),
        ("REVOKE SELECT (id) ON private.avatars FROM {role}", "GRANT SELECT (id, path)"),
        ("REVOKE SELECT (path) ON private.avatars FROM {role}", "GRANT SELECT (id, path)"),
        ("REVOKE UPDATE (path) ON private.avatars FROM {role}", "GRANT UPDATE (path)"),
        ("REVOKE pg_read_all_stats FROM {role}", "pg_read_all_stats"),
    ],
    ids=["usage", "select-key", "select-path", "update", "statistics"],
)
def test_a_missing_grant_is_named_before_anything_is_changed(lab: Any, statement: str, words: str) -> None:
    world = lab.world
    world.seed(legacy=range(1, 4))
    world.sql("CREATE SCHEMA private; ALTER TABLE avatars SET SCHEMA private")
    spec = lab.spec()
    spec["database"] = spec["database"] | {
        "references": [{"schema": "private", "table": "avatars", "key": "id", "column": "path"}],
        "maxReplicationLag": "10s",
    }
    driver = lab.drive(spec)
    world.sql(statement.format(role=lab.database["PGUSER"]))
    before = world.keys(world.source), world.keys(world.destination)
    status = driver.finish()
    assert [run["phase"] for run in status["runs"]] == ["preflight"]
    assert condition(status, "Stalled"), status
    assert words in message(status, "Stalled")
    assert (world.keys(world.source), world.keys(world.destination)) == before
