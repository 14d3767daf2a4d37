"""Least privileges: what each identity may do, and above all what it may not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bucketops_api.privileges import migration, operator
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_api.v1alpha1.registry import KINDS

Statement = dict[str, Any]
READING = {"s3:GetObject", "s3:GetObjectTagging"}


def spec(**changes: Any) -> MigrationSpec:
    plain: dict[str, Any] = {
        "source": {"bucket": "legacy-s3", "prefix": "image/"},
        "destination": {"bucket": "production-s3", "prefix": "avatar/"},
        "cleanup": {"policy": "Delete"},
    }
    return MigrationSpec.model_validate(plain | changes)


def actions_on(statements: Iterable[Statement], resource: str) -> set[str]:
    return {action for s in statements if resource in s["Resource"] for action in s["Action"]}


SPECS = [
    spec(),
    spec(cleanup={"policy": "Retain"}),
    spec(source={"bucket": "legacy-s3"}),
    spec(records={"bucket": "records-s3", "prefix": "team/"}),
    spec(
        destination={"bucket": "production-s3", "encryption": {"type": "SSE-KMS", "kmsKeyId": "arn:aws:kms:x:1:key/2"}}
    ),
]


@pytest.mark.parametrize("each", SPECS)
def test_no_policy_has_a_wildcard_as_an_action(each: MigrationSpec) -> None:
    document = migration.policy(
        *migration.source_statements(each), *migration.destination_statements(each), *migration.records_statements(each)
    )
    assert all("*" not in action for s in document["Statement"] for action in s["Action"])
    assert all(resource.startswith("arn:") for s in document["Statement"] for resource in s["Resource"])
    sids = [s["Sid"] for s in document["Statement"]]
    assert len(sids) == len(set(sids))


def test_source_objects_go_only_when_cleanup_deletes() -> None:
    legacy = "arn:aws:s3:::legacy-s3/image/*"
    assert actions_on(migration.source_statements(spec()), legacy) == {*READING, "s3:DeleteObject"}
    retained = spec(cleanup={"policy": "Retain"})
    assert actions_on(migration.source_statements(retained), legacy) == READING
    assert actions_on(migration.source_statements(spec(), "copy"), legacy) == READING
    assert "s3:DeleteObject" in actions_on(migration.source_statements(spec(), "delete"), legacy)


def test_nobody_deletes_a_destination_object_or_writes_a_source_object() -> None:
    both = (*migration.source_statements(spec()), *migration.destination_statements(spec()))
    assert "s3:DeleteObject" not in actions_on(both, "arn:aws:s3:::production-s3/avatar/*")
    assert "s3:PutObject" not in actions_on(both, "arn:aws:s3:::legacy-s3/image/*")


def test_destination_reads_the_source_because_it_signs_the_copies() -> None:
    statements = migration.destination_statements(spec())
    assert actions_on(statements, "arn:aws:s3:::legacy-s3/image/*") == READING


def test_listings_end_at_the_prefixes() -> None:
    (listing,) = (s for s in migration.source_statements(spec()) if s["Action"] == ["s3:ListBucket"])
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["image/*", ".bucketops/*"]}}
    whole = spec(source={"bucket": "legacy-s3"})
    (listing,) = (s for s in migration.source_statements(whole) if s["Action"] == ["s3:ListBucket"])
    assert "Condition" not in listing


@pytest.mark.parametrize(
    ("bucket", "probes"),
    [
        ("legacy-s3", set()),
        ("production-s3", {"s3:AbortMultipartUpload", "s3:GetObjectTagging", "s3:PutObjectTagging"}),
    ],
)
def test_claims_and_records_are_named_in_every_policy(bucket: str, probes: set[str]) -> None:
    statements = (*migration.source_statements(spec()), *migration.destination_statements(spec()))
    owned = actions_on(statements, f"arn:aws:s3:::{bucket}/.bucketops/*")
    assert owned == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} | probes


def test_records_elsewhere_have_statements_of_their_own() -> None:
    assert migration.records_statements(spec()) == ()
    elsewhere = spec(records={"bucket": "records-s3", "prefix": "team/"})
    statements = migration.records_statements(elsewhere)
    assert "s3:PutObject" in actions_on(statements, "arn:aws:s3:::records-s3/team/.bucketops/*")


def test_a_kms_key_of_aws_is_named_and_another_servers_key_is_not() -> None:
    for key, named in (("arn:aws:kms:eu-west-1:1:key/2", True), ("minio-key", False)):
        encryption = {"type": "SSE-KMS", "kmsKeyId": key}
        made = migration.destination_statements(spec(destination={"bucket": "production-s3", "encryption": encryption}))
        assert bool(actions_on(made, key)) is named


def test_a_bucket_in_china_is_of_another_partition() -> None:
    made = migration.source_statements(spec(source={"bucket": "legacy-s3", "region": "cn-north-1"}))
    assert all(resource.startswith("arn:aws-cn:s3:::") for s in made for resource in s["Resource"])


def test_one_identity_with_both_parts_has_each_statement_once() -> None:
    source = migration.source_statements(spec())
    assert migration.policy(*source, *source) == migration.policy(*source)


def test_grants_name_columns_and_quote_them() -> None:
    reference = {"schema": "public", "table": 'odd"name', "key": "id", "column": "Path"}
    credentials = {"secretRef": {"name": "db"}}
    database = spec(database={"credentials": credentials, "references": [reference]}).database
    assert database is not None
    assert migration.sql_grants(database, "mover") == (
        'GRANT USAGE ON SCHEMA "public" TO "mover";',
        'GRANT SELECT ("id", "Path"), UPDATE ("Path") ON "public"."odd""name" TO "mover";',
    )


def test_statistics_are_granted_where_replication_lag_is_to_be_seen() -> None:
    reference = {"table": "avatars", "column": "path"}
    database = spec(
        database={"credentials": {"secretRef": {"name": "db"}}, "references": [reference], "maxReplicationLag": "10s"}
    ).database
    assert database is not None
    assert migration.sql_grants(database, "mover")[-1] == 'GRANT pg_read_all_stats TO "mover";'


@pytest.mark.parametrize("cluster", [True, False])
def test_operator_reads_no_secret_and_has_no_wildcard(cluster: bool) -> None:
    for rule in operator.rules(cluster=cluster):
        assert not {"*"} & {*rule["resources"], *rule["verbs"], *rule["apiGroups"]}
        if "secrets" in rule["resources"]:
            assert rule["verbs"] == ["create", "delete"]


def test_operator_of_namespaces_reads_nothing_of_the_cluster() -> None:
    resources = {resource for rule in operator.rules(cluster=False) for resource in rule["resources"]}
    assert not {"namespaces", "customresourcedefinitions"} & resources


def test_people_may_edit_every_kind_and_no_status() -> None:
    writing = [rule for rule in operator.edit_rules() if "create" in rule["verbs"]]
    assert [rule["resources"] for rule in writing] == [sorted(kind.plural for kind in KINDS.values())]
    assert all(
        rule["verbs"] == ["get", "list", "watch"] or "/" in rule["resources"][0] for rule in operator.view_rules()
    )


def test_the_operator_has_no_verb_that_it_never_uses() -> None:
    """It applies a status, lists pods, reads why none was created, and writes Events of events.k8s.io."""
    verbs = {resource: rule["verbs"] for rule in operator.rules() for resource in (*rule["resources"],)}
    assert verbs["s3migrations/status"] == ["patch"]
    assert verbs["pods"] == ["list", "watch"]
    events = {tuple(rule["apiGroups"]): rule["verbs"] for rule in operator.rules() if "events" in rule["resources"]}
    assert events == {("",): ["list"], ("events.k8s.io",): ["create"]}
