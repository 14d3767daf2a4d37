"""What a resource may ask for, as the operator judges it: the same lists as the chart's ValidatingAdmissionPolicy."""

from __future__ import annotations

import asyncio
import copy
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from bucketops_api.crdgen import schema
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_api.v1alpha1.worker import Worker
from bucketops_operator.admission import objections, refused
from bucketops_operator.allowed import EVERYTHING, Allowed, endpoints, holds, holds_endpoint, read
from bucketops_operator.cluster import Cluster
from bucketops_operator.controller import Controller
from bucketops_operator.executor import Origin, Resource
from bucketops_operator.generate import find_root
from bucketops_operator.generators.admission import endpoint_fields
from bucketops_operator.local import Local
from bucketops_operator.reconcile import reconcile
from bucketops_operator.settings import SYSTEM_NAMESPACES, Settings, from_environment
from support.hostile import HOSTILE, SPECS, Hostile, laid_over, worker_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT = Allowed()


def resource(spec: dict[str, Any], kind: str = "S3Retention", **more: Any) -> Resource:
    return Resource(kind, "team", "hostile", "uid-1", 1, spec, **more)


def messages(spec: dict[str, Any], kind: str = "S3Retention", allowed: Allowed = DEFAULT) -> list[str]:
    return list(objections(resource(spec, kind), allowed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_harmless_resource_of_each_kind_is_let_in(kind: str) -> None:
    KINDS[kind].spec.model_validate(SPECS[kind])
    assert messages(SPECS[kind], kind) == []


@pytest.mark.parametrize("hostile", HOSTILE, ids=[hostile.name for hostile in HOSTILE])
def test_a_hostile_manifest_is_refused_by_the_operator_too(hostile: Hostile) -> None:
    """On a cluster without the policy, or with a CRD of an older release."""
    if hostile.namespace:
        assert not Settings().watches(hostile.namespace)
    elif hostile.refused_by == "schema":
        with pytest.raises(ValidationError):
            KINDS[hostile.kind].spec.model_validate(hostile.spec)
    else:
        [message] = messages(hostile.spec, hostile.kind)
        assert "is not allowed here (chart value allowed." in message


def test_the_table_of_the_threat_model_has_every_hostile_manifest() -> None:
    page = (find_root() / "docs/threat-model.md").read_text()
    rows = [line for line in page.split("## Hostile manifests")[1].splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == [hostile.name for hostile in HOSTILE]


def test_a_resource_that_asks_for_too_much_is_stalled_and_starts_nothing() -> None:
    asked = resource(laid_over(SPECS["S3Retention"], {"worker": {"serviceAccountName": "powerful"}}))
    desired = refused(asked, (), NOW, DEFAULT)
    assert desired is not None
    stalled = next(c for c in desired.status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "InvalidSpec")
    assert "'powerful' is not allowed here (chart value allowed.serviceAccounts: none)" in stalled.message
    assert desired.objects == ()
    assert [event.type for event in desired.events] == ["Warning"]
    again = replace(asked, status=desired.status.model_dump(mode="json", by_alias=True, exclude_none=True))
    repeated = refused(again, (), NOW, DEFAULT)
    assert repeated is not None
    assert repeated.events == (), "told once"


def test_nothing_starts_of_a_resource_that_asks_for_too_much(tmp_path: Path) -> None:
    asked = resource(laid_over(SPECS["S3Retention"], {"bucket": {"endpoint": "http://169.254.169.254"}}))
    local = Local(tmp_path, {})
    reconcile(asked, local, NOW, Settings(allowed=DEFAULT))
    conditions = {c["type"]: c["status"] for c in local.statuses[asked.uid]["conditions"]}
    assert conditions["Stalled"] == "True"
    assert not local.busy()
    assert not list(tmp_path.glob("*")), "no run has files"


class Asked:
    """A cluster that has no resource, and remembers of which namespace it was asked for one."""

    def __init__(self) -> None:
        self.namespaces: list[str] = []
        self.last = threading.Event()

    def get(self, _kind: str, namespace: str, _name: str) -> None:
        self.namespaces.append(namespace)
        if namespace == "team":
            self.last.set()


def test_resources_in_namespaces_of_kubernetes_and_the_operator_are_never_looked_at() -> None:
    async def look(cluster: Asked) -> None:
        controller = Controller(Settings(own_namespace="ops"), cast("Cluster", cluster))
        for number, namespace in enumerate((*SYSTEM_NAMESPACES, "ops", "team")):
            version = {"generation": 1, "resourceVersion": "1"}
            metadata = {"uid": str(number), "namespace": namespace, "name": "a"} | version
            controller.saw_resource("S3Retention", metadata, deleted=False)
        await asyncio.to_thread(cluster.last.wait, 60)
        await controller.stop()

    cluster = Asked()
    asyncio.run(look(cluster))
    assert cluster.namespaces == ["team"]


def test_what_works_for_ever_goes_when_the_lists_become_shorter() -> None:
    retention = resource(laid_over(SPECS["S3Retention"], {"bucket": {"endpoint": "http://x"}}))
    pipeline = resource(laid_over(SPECS["ExifPipeline"], {"source": {"endpoint": "http://x"}}), "ExifPipeline")
    for asked, kinds in ((retention, ["CronJob"]), (pipeline, ["CronJob", "StatefulSet"])):
        desired = refused(asked, (), NOW, DEFAULT)
        assert desired is not None
        assert [kind for kind, _ in desired.discard] == kinds


def test_a_resource_that_is_being_deleted_is_let_go_with_a_warning() -> None:
    spec = laid_over(SPECS["S3Access"], {"worker": {"serviceAccountName": "powerful"}, "deletionPolicy": "Delete"})
    desired = refused(resource(spec, "S3Access", deleting=True, held=True), (), NOW, DEFAULT)
    assert desired is not None
    assert not desired.held
    assert [(event.reason, event.type) for event in desired.events] == [("Retained", "Warning")]


def test_a_rollback_asks_for_what_its_migration_asks_for() -> None:
    origin = resource(laid_over(SPECS["S3Migration"], {"source": {"endpoint": "http://x"}}), "S3Migration")
    rollback = resource({"rollbackOf": "hostile"}, "S3Migration", origin=Origin(origin))
    assert "source.endpoint" in next(iter(objections(rollback, DEFAULT)))


@pytest.mark.parametrize(
    ("entry", "name", "expected"),
    [
        ("exporter", "exporter", True),
        ("exporter", "exporter2", False),
        ("team-a/*", "team-a/exporter", True),
        ("*", "team-a/exporter", False),
        ("*", "anything", True),
        ("example.com/*", "example.com/cost", True),
        ("example.com/*", "example-com/cost", False),
        ("*", "io.kubernetes.cri-o.Devices", True),
    ],
)
def test_a_star_stands_for_no_slash(entry: str, name: str, *, expected: bool) -> None:
    assert holds([entry], name) is expected


@pytest.mark.parametrize(
    ("entry", "endpoint", "expected"),
    [
        ("https://*", "https://s3.example:9000", True),
        ("https://*", "https://[fd00::1]:9000/", True),
        ("https://*", "http://s3.example", False),
        ("https://*", "https://user:secret@s3.example", False),
        ("http://*.svc", "http://minio.storage.svc:9000", True),
        ("http://*.svc", "http://minio.storage.svc:9000/", True),
        ("http://*.svc", "http://minio.storage.svc.evil.example", False),
        ("http://*.svc", "http://evil.example?.svc", False),
        ("http://*.svc", "http://evil.example#.svc", False),
        ("http://*.svc", "http://evil.example@x.svc", False),
        ("http://*.svc", "http://evil.example:80.svc", False),
        ("http://*.svc", "http://evil.example\n.svc", False),
        ("http://minio:9000", "http://minio:9000", True),
        ("http://minio:9000", "http://minio:9001", False),
        ("http://minio", "http://minio:9001", True),
        ("http://[fd00::1]:9000", "http://[fd00::1]:9000", True),
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_perhaps_a_port(entry: str, endpoint: str, *, expected: bool) -> None:
    assert holds_endpoint([entry], endpoint) is expected


def test_an_account_may_be_allowed_in_one_namespace_alone() -> None:
    spec = laid_over(SPECS["S3Retention"], {"worker": {"serviceAccountName": "exporter"}})
    assert messages(spec, allowed=Allowed(service_accounts=("team/exporter",))) == []
    assert messages(spec, allowed=Allowed(service_accounts=("other/exporter",))) != []
    assert messages(spec, allowed=EVERYTHING) == []


def test_the_default_account_needs_no_entry() -> None:
    assert messages(laid_over(SPECS["S3Retention"], {"worker": {"serviceAccountName": "default"}})) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_and_the_operator_know_the_same_endpoints(kind: str) -> None:
    """The policy by the fields of the schema, the operator by looking everywhere in the spec."""
    for path in endpoint_fields(schema(KINDS[kind].spec)):
        spec: Any = "https://host.example/queue" if path[-1] == "queueUrl" else "https://host.example"
        for part in reversed(path):
            spec = {part: spec}
        assert list(endpoints(spec)) == [(".".join(path), "https://host.example")]


def test_the_lists_come_from_the_environment_and_are_closed_without_it() -> None:
    assert from_environment({}).allowed == DEFAULT
    assert read('{"serviceAccounts": ["a"], "future": ["b"]}') == Allowed(service_accounts=("a",))


def test_the_namespaces_of_kubernetes_and_the_operators_own_cannot_be_named() -> None:
    with pytest.raises(ValueError, match="kube-system is never watched"):
        from_environment({"BUCKETOPS_NAMESPACES": "team-a,kube-system"})
    with pytest.raises(ValueError, match="ops is never watched"):
        from_environment({"BUCKETOPS_NAMESPACES": "ops", "BUCKETOPS_OWN_NAMESPACE": "ops"})


def test_a_kind_that_is_switched_off_is_not_worked_on() -> None:
    kinds = from_environment({"BUCKETOPS_DISABLED_KINDS": "S3Access,ExifPipeline"}).kinds()
    assert {kind.name for kind in kinds} == set(KINDS) - {"S3Access", "ExifPipeline"}


@pytest.mark.parametrize("hostile", [h for h in HOSTILE if h.pruned], ids=lambda hostile: hostile.name)
def test_what_a_lenient_api_server_drops_changes_nothing_of_the_pod(hostile: Hostile) -> None:
    """The API server drops a field that the schema lacks; here the innermost mapping that has one."""
    plain = worker_pod(hostile.kind, SPECS[hostile.kind])
    assert worker_pod(hostile.kind, pruned(hostile.spec)) == plain


def pruned(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without the fields of its worker's template that the model does not know."""
    found = copy.deepcopy(spec)
    while True:
        try:
            Worker.model_validate(found.get("worker") or {})
        except ValidationError as error:
            unknown = [fault["loc"] for fault in error.errors() if fault["type"] == "extra_forbidden"]
            assert unknown
            node: Any = found["worker"]
            for part in unknown[0][:-1]:
                node = node[part]
            del node[unknown[0][-1]]
        else:
            return found
