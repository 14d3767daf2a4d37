"""Jobs and pods that somebody else made count for nothing, whatever labels they have."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec
from bucketops_operator import rest
from bucketops_operator.cluster import Cluster as Executor
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings
from support.cluster import Cluster, example

NAME = "forged"


@pytest.fixture(scope="module")
def owner(cluster: Cluster) -> Iterator[Resource]:
    """A suspended migration: it runs nothing itself."""
    manifest = example("s3migration")
    manifest["metadata"]["name"] = NAME
    manifest["spec"]["suspend"] = True
    cluster.apply(manifest)
    found = Executor(rest.connect()).get("S3Migration", cluster.namespace, NAME)
    assert found is not None
    yield found
    cluster.kubectl("delete", "s3migration", NAME)


def manifests(owner: Resource, run: str) -> dict[str, Any]:
    """What the operator itself would make for a run, its Job suspended, by kind."""
    spec = RunSpec(
        kind=owner.kind, phase="copy", namespace=owner.namespace, name=owner.name, run=run, spec={"worker": {}}
    )
    made = run_objects(owner, spec, parallelism=1, suspend=True, limits=Limits(), settings=Settings())
    return {manifest["kind"]: copy.deepcopy(dict(manifest)) for manifest in made}


def former(run: str) -> ObservedRun:
    """A run of that name as a look saw it, whose Job was deleted since."""
    return ObservedRun(run=run, phase="copy", state="Succeeded", shards=1, uid="ffffffff-ffff-4fff-bfff-ffffffffffff")


@pytest.mark.parametrize("references", [[], [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]])
def test_a_job_with_our_labels_and_without_our_reference_is_no_run_and_is_left_alone(
    cluster: Cluster, owner: Resource, references: list[dict[str, Any]]
) -> None:
    run = f"{NAME}-{7 + len(references)}-copy"
    job = manifests(owner, run)["Job"]
    for reference in references:
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
        reference["uid"] = cluster.get("configmap", "x")["metadata"]["uid"]
    job["metadata"]["ownerReferences"] = [reference | {"controller": True} for reference in references]
    cluster.apply(job)
    executor = Executor(rest.connect())
    assert executor.observe(owner) == []
    executor.remove(owner, [former(run)])
    assert "deletionTimestamp" not in cluster.get("job", run)["metadata"]
    cluster.kubectl("delete", "job", run)


def test_a_copy_of_a_job_under_another_name_breaks_nothing(cluster: Cluster, owner: Resource) -> None:
    job = manifests(owner, f"{NAME}-1-copy")["Job"]
    job["metadata"]["name"] = f"{NAME}-debug"
    cluster.apply(job)
    assert Executor(rest.connect()).observe(owner) == []
    cluster.kubectl("delete", "job", f"{NAME}-debug")


def test_a_config_map_of_somebody_else_is_not_deleted_for_its_name(cluster: Cluster, owner: Resource) -> None:
    run = f"{NAME}-9-copy"
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": run}, "data": {"keep": "me"}})
    Executor(rest.connect()).remove(owner, [former(run)])
    assert cluster.get("configmap", run)["data"] == {"keep": "me"}
    cluster.kubectl("delete", "configmap", run)


def test_the_resource_takes_all_of_this_for_nothing(cluster: Cluster, owner: Resource) -> None:
    """The operator has looked at it all the while."""
    status = cluster.status("S3Migration", owner.name)
    assert not [run for run in status.get("runs", ()) if run["id"].startswith(f"{NAME}-9")]
    assert names.is_run_name(f"{NAME}-9-copy")
