"""Kills in the cluster, in the middle of the work: the end is the same as without them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, Reader, World, name, picture
from support.cluster import ROOT, Cluster, avatars_world, example, give_access, wait_for

OBJECTS = 1500
SYSTEM = "bucketops-system"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(f"faults-{secrets.token_hex(3)}")
    cluster.create_namespace()
    yield cluster
    cluster.remove_namespace()
    cluster.close()


def begin(cluster: Cluster) -> tuple[World, dict[str, Any]]:
    """The example on a smaller world, with a short grace and small chunks."""
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, OBJECTS + 1), range(OBJECTS + 1, OBJECTS + 21))
    manifest["spec"]["cleanup"]["grace"] = "3s"
    manifest["spec"]["database"]["batchSize"] = 100
    manifest["spec"]["worker"]["requestsPerSecond"] = 60  # slow enough to be killed in the middle, several times
    give_access(cluster, world, manifest)
    cluster.apply(manifest)
    return world, manifest


def percent(cluster: Cluster) -> int:
    return int(cluster.status("s3migration", "avatars").get("progress", {}).get("percent", 0))


def at(cluster: Cluster, least: int) -> int:
    """Wait until the status shows at least this percentage."""
    seen = wait_for(f"{least} %", lambda: (p := percent(cluster)) >= least and p, 180)
    assert seen <= 80, "too late for a kill in the middle"
    return int(seen)


def running(cluster: Cluster) -> list[str]:
    pods = cluster.get("pods")["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def kill_operator(cluster: Cluster) -> None:
    cluster.kubectl(
        "delete", "pod", "--selector", "app.kubernetes.io/name=bucketops", "--grace-period=0", "--force",
        namespace=SYSTEM,
    )  # fmt: skip


def kill_worker(cluster: Cluster) -> None:
    cluster.kubectl("delete", "pod", running(cluster)[0], "--grace-period=0", "--force")


def evict_worker(cluster: Cluster) -> None:
    pod = running(cluster)[0]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": cluster.namespace},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
    cluster.kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))


def delete_job(cluster: Cluster) -> None:
    (job,) = [job["metadata"]["name"] for job in cluster.get("jobs")["items"] if "-copy" in job["metadata"]["name"]]
    cluster.kubectl("delete", "job", job)


def kill_kubelet(_: Cluster) -> None:
    subprocess.run([sys.executable, str(ROOT / "tests/cluster"), "kill"], check=True)


def expect_the_right_end(cluster: Cluster, world: World) -> dict[str, Any]:
    """Wait for the end and require that it is the right one."""
    cluster.kubectl("wait", "--for=condition=Complete", "--timeout=5m", "s3migration/avatars")
    status = cluster.status("s3migration", "avatars")
    moved = world.keys(world.destination, MODERN)
    assert set(moved) == {MODERN + name(number) for number in range(1, OBJECTS + 21)}
    assert world.keys(world.source) == {}
    assert not [path for path in world.paths() if path.startswith(LEGACY)]
    assert world.body(world.destination, MODERN + name(OBJECTS // 2)) == picture(OBJECTS // 2)
    assert status["outcomes"]["moved"] == OBJECTS
    assert sum(status["outcomes"].values()) == OBJECTS
    assert status["rowOutcomes"]["rewritten"] == OBJECTS
    return status


@pytest.mark.parametrize(
    "faults",
    [(kill_worker, evict_worker, kill_operator), (delete_job, kill_kubelet)],
    ids=["a worker killed, a worker evicted, the operator killed", "the Job deleted by hand, the kubelet killed"],
)
def test_kills_in_the_middle_change_nothing_in_the_end(
    cluster: Cluster, faults: tuple[Callable[[Cluster], None], ...]
) -> None:
    world, _ = begin(cluster)
    seen = [0]
    with Reader(world, threads=1, pause=0.01) as reader:
        for fault in faults:
            seen.append(at(cluster, max(20, seen[-1] + 5)))
            fault(cluster)
            time.sleep(1)
            seen.append(percent(cluster))
        expect_the_right_end(cluster, world)
    assert seen == sorted(seen)
    assert reader.wrong == []


def test_a_deleted_resource_stops_its_pods_and_goes_on_when_applied_again(cluster: Cluster) -> None:
    world, manifest = begin(cluster)
    with Reader(world, threads=1, pause=0.01) as reader:
        at(cluster, 20)
        cluster.kubectl("delete", "s3migration", "avatars", "--wait=true")
        wait_for("no pods", lambda: not cluster.get("pods")["items"], 90)
        rows = [path for path in world.paths() if path.startswith(LEGACY)]
        assert 0 < len(rows) < OBJECTS
        cluster.apply(manifest)
        expect_the_right_end(cluster, world)
    assert reader.wrong == []


def test_two_operators_at_once_do_no_harm(cluster: Cluster) -> None:
    cluster.kubectl("scale", "deployment/bucketops", "--replicas=2", namespace=SYSTEM)
    try:
        world, _ = begin(cluster)
        expect_the_right_end(cluster, world)
    finally:
        cluster.kubectl("scale", "deployment/bucketops", "--replicas=1", namespace=SYSTEM)


def test_a_mended_secret_starts_the_run_without_anything_else_to_do(cluster: Cluster) -> None:
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, 21))
    manifest["spec"]["cleanup"] = {"policy": "Retain"}
    cluster.apply(manifest)
    cluster.kubectl("wait", "--for=condition=Stalled", "--timeout=60s", "s3migration/avatars")
    conditions = {c["type"]: c for c in cluster.status("s3migration", "avatars")["conditions"]}
    assert conditions["Stalled"]["reason"] == "CredentialsMissing"
    assert "Secret avatars-s3 (bucket legacy-s3) does not exist: create it" in conditions["Stalled"]["message"]
    give_access(cluster, world, manifest)
    cluster.kubectl("wait", "--for=condition=Complete", "--timeout=3m", "s3migration/avatars")
    assert cluster.get("s3migration", "avatars")["metadata"]["generation"] == 1
