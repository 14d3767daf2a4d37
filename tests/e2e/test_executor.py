"""The cluster's executor keeps the protocol: the same tests as the one of this machine."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import names
from bucketops_operator import cluster as clusters
from bucketops_operator import rest
from bucketops_operator.executor import Manifest, Resource
from bucketops_operator.settings import Settings
from support.cluster import SYSTEM, Cluster, example, wait_for
from support.conformance import *  # noqa: F403 - the tests that every executor passes
from support.conformance import Place

LIMIT = 2
"""Retries of one shard here: the Job controller waits 10 s before the first, 20 s before the second."""
SCRIPT = (Path(__file__).parents[1] / "support/scripted_pod.py").read_text()
FAILURES = "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"


class Scripted(clusters.Cluster):
    """The executor as it is, but its Jobs run the scripted worker."""

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        super().apply(owner, [scripted(manifest) if manifest["kind"] == "Job" else manifest for manifest in objects])


def scripted(manifest: Manifest) -> Manifest:
    job = copy.deepcopy(dict(manifest))
    job["spec"]["backoffLimitPerIndex"] = LIMIT
    pod = job["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 5
    pod["containers"][0]["command"] = ["python", "-c", SCRIPT]
    pod["containers"][0]["env"] = [{"name": "FAILURES", "valueFrom": {"fieldRef": {"fieldPath": FAILURES}}}]
    return job


@pytest.fixture(scope="module")
def quiet(cluster: Cluster) -> Iterator[Cluster]:
    """Without the operator, which would remove runs that it did not begin."""
    cluster.kubectl("scale", "deployment/bucketops", "--replicas=0", namespace=SYSTEM)
    selector = ("--selector", "app.kubernetes.io/name=bucketops")
    wait_for("the operator is gone", lambda: not cluster.get("pods", *selector, namespace=SYSTEM)["items"], 180)
    yield cluster
    cluster.kubectl("delete", "s3migrations", "--all")
    cluster.kubectl("scale", "deployment/bucketops", "--replicas=1", namespace=SYSTEM)
    cluster.kubectl("rollout", "status", "deployment/bucketops", "--timeout=300s", namespace=SYSTEM)


@pytest.fixture(scope="module")
def image(quiet: Cluster) -> str:
    """What the operator hands to its Jobs."""
    deployment = quiet.get("deployment", "bucketops", namespace=SYSTEM)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
def place(quiet: Cluster, image: str, request: pytest.FixtureRequest) -> Place:
    executor = Scripted(rest.connect())

    def new_owner(name: str) -> Resource:
        manifest = example("s3migration")
        manifest["metadata"]["name"] = name
        quiet.apply(manifest)
        found = executor.get("S3Migration", quiet.namespace, name)
        assert found is not None
        return found

    def attempts(run: str, shard: int) -> int:
        pods: list[dict[str, Any]] = quiet.get("pods", "--selector", f"{names.LABEL_RUN}={run}")["items"]
        index = "batch.kubernetes.io/job-completion-index"
        return sum(pod["metadata"]["annotations"].get(index) == str(shard) for pod in pods)

    owner = new_owner(f"bench-{abs(hash(request.node.name)) % 10**6}")
    return Place(executor, owner, new_owner, attempts, Settings(image=image), 1.0, LIMIT, 300)
