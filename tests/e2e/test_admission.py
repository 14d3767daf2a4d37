"""The CRD in the real API server: what is refused at `kubectl apply`, and the words that say what to write."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from support.cluster import EXAMPLES, Cluster, example
from support.hostile import HOSTILE, SPECS, Hostile, worker_pod

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("overlapping prefixes", {"destination": {"bucket": "legacy-s3", "prefix": "image/new/"}}, "overlap"),
    ("a bucket that is none", {"source": {"bucket": "Legacy_S3"}}, "3 to 63 of a-z"),
    ("a duration without a unit", {"cleanup": {"grace": "24"}}, "write a duration such as"),
    (
        "an endpoint without a scheme",
        {"source": {"endpoint": "minio:9000"}},
        "write scheme, host and perhaps a port, such as",
    ),
    ("an unknown mode", {"mode": "Go"}, 'supported values: "Plan", "Apply"'),
    ("a format without the key", {"database": {"references": [{"format": "x"}]}}, "write the key once"),
    ("a format with other braces", {"database": {"references": [{"format": "{name}/{key}"}]}}, "braces hold the key"),
    ("a format that is literal", {"database": {"references": [{"format": "{{key}}"}]}}, "write the key once"),
    ("an unknown field", {"sorce": {}}, "unknown field"),
    ("a rollback with a source of its own", {"rollbackOf": "avatars"}, "rollbackOf goes with mode, suspend, trigger"),
    ("no pods", {"worker": {"parallelism": 0}}, "greater than or equal to 1"),
    ("shards that are no number", {"worker": {"shards": "many"}}, "write auto or a number"),
]

WRONG_RETENTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("a prefix within a segment", {"bucket": {"prefix": "web"}}, "end the prefix with '/'"),
    ("nothing kept", {"keep": {"last": 0}}, "greater than or equal to 1"),
    ("an age by name without a pattern", {"folders": {"age": "name"}}, "write a namePattern with one group"),
    ("an age by marker without a key", {"folders": {"age": "marker"}}, "write the markerKey"),
    ("half a hash", {"approvePlan": "abc"}, "write a whole planHash"),
    ("a schedule in words", {"schedule": "every night"}, "write a cron expression of five fields"),
    ("a zone that is none", {"timeZone": "+01:00"}, "write a time zone of the IANA database"),
]


RECORDS = {"bucket": "bucket-a", "prefix": ".bucketops/", "access": "ReadOnly"}
WRITER = {"bucket": "bucket-a", "access": "ReadWrite"}
WRONG_ACCESSES: list[tuple[str, dict[str, Any], str]] = [
    ("a prefix in the records", {"grants": [RECORDS]}, "set records: true if this user is another bucketops"),
    (
        "a reader that opens the records to a writer",
        {"grants": [RECORDS | {"records": True}, WRITER]},
        "Set records: true in both or in neither",
    ),
    (
        "a writer to whom a reader opens the records",
        {"grants": [WRITER, RECORDS | {"records": True}]},
        "Set records: true in both or in neither",
    ),
    ("a proof on a bucket with a grant", {"probeBucket": "bucket-a"}, "probeBucket has a grant"),
]
RIGHT_ACCESSES: list[tuple[str, dict[str, Any]]] = [
    ("both open", {"grants": [WRITER | {"records": True}, RECORDS | {"records": True}]}),
    ("apart", {"grants": [WRITER | {"prefix": "in/"}, RECORDS | {"records": True}]}),
    ("in another bucket", {"grants": [WRITER, RECORDS | {"bucket": "bucket-b", "records": True}]}),
    ("a name that only ends like the folder", {"grants": [WRITER | {"prefix": "my.bucketops/"}]}),
]


def merged(base: Any, change: Any) -> Any:
    if isinstance(base, list) and isinstance(change, list):
        return [merged(base[0], change[0])]
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


@pytest.mark.parametrize(("change", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_an_invalid_resource_is_refused_with_words_that_help(
    cluster: Cluster, change: dict[str, Any], words: str
) -> None:
    expect_refused(cluster, "s3migration", change, words)


@pytest.mark.parametrize(("change", "words"), [w[1:] for w in WRONG_RETENTIONS], ids=[w[0] for w in WRONG_RETENTIONS])
def test_an_invalid_retention_is_refused_with_words_that_help(
    cluster: Cluster, change: dict[str, Any], words: str
) -> None:
    expect_refused(cluster, "s3retention", change, words)


@pytest.mark.parametrize(("change", "words"), [w[1:] for w in WRONG_ACCESSES], ids=[w[0] for w in WRONG_ACCESSES])
def test_an_access_that_says_two_things_is_refused_with_words_that_help(
    cluster: Cluster, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeError, match=words):
        create(cluster, access(change))


@pytest.mark.parametrize("change", [right[1] for right in RIGHT_ACCESSES], ids=[right[0] for right in RIGHT_ACCESSES])
def test_an_access_whose_grants_are_apart_is_let_in(cluster: Cluster, change: dict[str, Any]) -> None:
    create(cluster, access(change))


def access(change: dict[str, Any]) -> dict[str, Any]:
    manifest: dict[str, Any] = next(yaml.safe_load_all((EXAMPLES / "s3access.yaml").read_text()))
    return manifest | {"spec": manifest["spec"] | change}


def test_a_migration_says_from_where_to_where_or_what_it_rolls_back(cluster: Cluster) -> None:
    manifest = example("s3migration")
    manifest["metadata"]["name"] = "undo"
    with pytest.raises(RuntimeError, match="name source and destination, or with rollbackOf"):
        create(cluster, manifest | {"spec": {"mode": "Apply"}})
    create(cluster, manifest | {"spec": {"rollbackOf": "avatars"}})


def expect_refused(cluster: Cluster, kind: str, change: dict[str, Any], words: str) -> None:
    manifest = copy.deepcopy(example(kind))
    manifest["metadata"]["name"] = "wrong"
    manifest["spec"] = merged(manifest["spec"], change)
    with pytest.raises(RuntimeError, match=words):
        create(cluster, manifest)


@pytest.mark.parametrize("hostile", HOSTILE, ids=[hostile.name for hostile in HOSTILE])
def test_a_hostile_manifest_is_refused_at_apply(cluster: Cluster, hostile: Hostile) -> None:
    """The table of docs/threat-model.md."""
    with pytest.raises(RuntimeError, match=hostile.words):
        apply(cluster, hostile, "strict")


@pytest.mark.parametrize("hostile", HOSTILE, ids=[hostile.name for hostile in HOSTILE])
def test_a_hostile_manifest_of_a_lenient_client_is_refused_or_loses_what_is_hostile(
    cluster: Cluster, hostile: Hostile
) -> None:
    """Clients that do not ask for strict validation have unknown fields dropped: what is stored is harmless."""
    if not hostile.pruned:
        with pytest.raises(RuntimeError, match=hostile.words):
            apply(cluster, hostile, "ignore")
        return
    stored = apply(cluster, hostile, "ignore")
    assert worker_pod(hostile.kind, stored["spec"]) == worker_pod(hostile.kind, SPECS[hostile.kind])


@pytest.mark.parametrize("kind", SPECS)
def test_a_harmless_resource_of_each_kind_is_let_in(cluster: Cluster, kind: str) -> None:
    """So that the tests above are about what is hostile."""
    apply(cluster, Hostile("none", "nothing", {}, "schema", "", kind=kind), "strict")


def test_what_is_there_may_still_be_labelled_when_the_lists_become_shorter(cluster: Cluster) -> None:
    """The operator must be able to take its finalizer away from what the policy would refuse today."""
    policy = cluster.get("validatingadmissionpolicy", "bucketops-s3retentions")
    [condition] = policy["spec"]["matchConditions"]
    assert condition["expression"] == "request.operation == 'CREATE' || object.spec != oldObject.spec"


def apply(cluster: Cluster, hostile: Hostile, validation: str) -> Any:
    options = ("--dry-run=server", f"--validate={validation}", "--output", "json", "--filename", "-")
    text = yaml.safe_dump(hostile.manifest())
    return json.loads(cluster.kubectl("create", *options, stdin=text, namespace=hostile.namespace or None))


def create(cluster: Cluster, manifest: dict[str, Any]) -> None:
    cluster.kubectl(
        "create", "--validate=strict", "--dry-run=server", "--filename", "-", stdin=yaml.safe_dump(manifest)
    )


def test_what_a_run_works_on_cannot_change_while_it_works(cluster: Cluster) -> None:
    manifest = example("s3migration")
    manifest["metadata"]["name"] = "frozen"
    manifest["spec"]["suspend"] = True
    cluster.apply(manifest)
    cluster.kubectl("wait", "--for=condition=Suspended", "--timeout=300s", "s3migration/frozen")
    patch = '{"spec": {"source": {"prefix": "other/"}}}'
    with pytest.raises(RuntimeError, match="source cannot change while a run is under way"):
        cluster.kubectl("patch", "s3migration", "frozen", "--type=merge", "--patch", patch)
    cluster.kubectl("delete", "s3migration", "frozen")
