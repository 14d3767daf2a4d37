"""What the operator's token is good for in other hands: its own objects, and restricted pods of its own image."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec
from bucketops_operator.executor import Resource
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings
from support.cluster import SYSTEM, Cluster
from support.hostile import SPECS

THIEF = f"--as=system:serviceaccount:{SYSTEM}:bucketops"
OURS = {names.LABEL_MANAGED_BY: names.MANAGER}


def job(cluster: Cluster) -> dict[str, Any]:
    """A Job as the operator in the cluster would make it."""
    deployment = cluster.get("deployment", "bucketops", namespace=SYSTEM)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    owner = Resource("S3Retention", cluster.namespace, "stolen", "uid-1", 1, SPECS["S3Retention"])
    run = RunSpec(kind=owner.kind, phase="retain", namespace=owner.namespace, name=owner.name, run="stolen-1-retain",
                  spec=owner.spec)  # fmt: skip
    *_, made = run_objects(owner, run, parallelism=1, suspend=True, limits=Limits(), settings=Settings(image=image))
    found: dict[str, Any] = json.loads(json.dumps(made))
    found["metadata"]["ownerReferences"] = []
    return found


def create(cluster: Cluster, manifest: dict[str, Any], namespace: str | None = None) -> None:
    manifest["metadata"].pop("namespace", None)
    options = ("--dry-run=server", THIEF, "--filename", "-")
    cluster.kubectl("create", *options, stdin=yaml.safe_dump(manifest), namespace=namespace)


def test_the_operators_own_job_is_let_in(cluster: Cluster) -> None:
    """So that the tests below are about what is changed in it."""
    create(cluster, job(cluster))


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("hostNetwork", "shares nothing with its node", {"hostNetwork": True}),
    ("hostPath", "shares nothing with its node", {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
    ("root", "is not root", {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}),
    ("initContainers", "has one container", {"initContainers": [{"name": "x", "image": "evil"}]}),
    ("account", "runs as an account of the chart", {"serviceAccountName": "powerful"}),
    ("token", "has no token", {"automountServiceAccountToken": True}),
]
CONTAINER_CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("image", "runs the operator's image", {"image": "evil"}),
    ("command", "runs the image's own code", {"command": ["python", "-c", "evil"]}),
    ("variable", "has no environment variable", {"env": [{"name": "LD_PRELOAD", "value": "/var/run/bucketops/x.so"}]}),
    ("mount", "mounted over the image's own code", {"volumeMounts": [{"name": "run", "mountPath": "/opt/bucketops"}]}),
    ("upward", "mounted over the image's own code",
     {"volumeMounts": [{"name": "run", "mountPath": "/var/run/bucketops/../../../opt/bucketops"}]}),
    ("hook", "the kubelet runs nothing", {"lifecycle": {"postStart": {"exec": {"command": ["sh"]}}}}),
    ("privileged", "has no privileges", {"securityContext": {"privileged": True}}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "change"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_stolen_token_makes_no_other_pods(cluster: Cluster, words: str, change: dict[str, Any]) -> None:
    manifest = job(cluster)
    pod = manifest["spec"]["template"]["spec"]
    volumes = [*pod["volumes"], *change.get("volumes", ())]
    pod |= copy.deepcopy(change) | {"volumes": volumes}
    with pytest.raises(RuntimeError, match=words):
        create(cluster, manifest)


@pytest.mark.parametrize(("words", "change"), [c[1:] for c in CONTAINER_CHANGES], ids=[c[0] for c in CONTAINER_CHANGES])
def test_a_stolen_token_runs_no_other_code(cluster: Cluster, words: str, change: dict[str, Any]) -> None:
    manifest = job(cluster)
    manifest["spec"]["template"]["spec"]["containers"][0] |= change
    with pytest.raises(RuntimeError, match=words):
        create(cluster, manifest)


@pytest.mark.parametrize("namespace", ["kube-system", SYSTEM])
def test_a_stolen_token_works_in_no_namespace_of_kubernetes_or_the_operator(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(RuntimeError, match="never works in the namespaces of Kubernetes"):
        create(cluster, job(cluster), namespace)


def test_a_stolen_token_makes_nothing_that_is_not_marked(cluster: Cluster) -> None:
    with pytest.raises(RuntimeError, match="touches only what it has made"):
        create(cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "foreign"}})


@pytest.fixture
def objects(cluster: Cluster) -> Iterator[None]:
    """A Secret and a ConfigMap of somebody else, and a Secret of ours."""
    for kind in ("Secret", "ConfigMap"):
        cluster.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "foreign"}})
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ours", "labels": OURS}})
    yield
    cluster.kubectl("delete", "secret/foreign", "configmap/foreign", "secret/ours", "--ignore-not-found")


@pytest.mark.usefixtures("objects")
def test_a_stolen_token_deletes_and_changes_only_what_is_ours(cluster: Cluster) -> None:
    for name in ("secret/foreign", "configmap/foreign"):
        with pytest.raises(RuntimeError, match="touches only what it has made"):
            cluster.kubectl("delete", name, THIEF)
    with pytest.raises(RuntimeError, match="touches only what it has made"):
        cluster.kubectl("label", "configmap/foreign", f"{names.LABEL_MANAGED_BY}={names.MANAGER}", THIEF)
    cluster.kubectl("delete", "secret/ours", THIEF, "--dry-run=server")
