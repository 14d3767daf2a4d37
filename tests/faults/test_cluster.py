"""Kills in the cluster, in the middle of the work: the end is the same as without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support import operators, storage
from support.avatars import LEGACY, MODERN, Reader, World, name, picture
from support.cluster import ROOT, SYSTEM, Cluster, avatars_world, example, give_access, namespace, wait_for
from support.gate import Gate
from support.operators import PATIENCE

OBJECTS, CHUNK, WORKERS = 1500, 25, 4


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with namespace("faults") as cluster:
        yield cluster


@dataclass
class Scene:
    """A migration in the cluster, held at a gate."""

    cluster: Cluster
    world: World
    gate: Gate
    manifest: dict[str, Any]


def begin(cluster: Cluster) -> Scene:
    """The example on a smaller world, with a short grace and small chunks."""
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, OBJECTS + 1), range(OBJECTS + 1, OBJECTS + 21))
    gate = Gate(world, objects=OBJECTS, workers=WORKERS, chunk=CHUNK)
    manifest["spec"]["cleanup"]["grace"] = "3s"
    manifest["spec"]["database"]["batchSize"] = CHUNK
    assert manifest["spec"]["worker"]["parallelism"] == WORKERS
    give_access(cluster, world, manifest)
    cluster.apply(manifest)
    return Scene(cluster, world, gate, manifest)


def percent(cluster: Cluster) -> int:
    return int(cluster.status("s3migration", "avatars").get("progress", {}).get("percent", 0))


def at(scene: Scene, least: int) -> int:
    """Let the migration come to this percentage and wait until the status shows it."""
    scene.gate.reach(least)
    seen = wait_for(f"{least} %", lambda: (p := percent(scene.cluster)) >= least and p, PATIENCE)
    assert 20 <= seen <= 80, "not in the middle"
    return int(seen)


def a_worker(cluster: Cluster) -> str:
    """A pod that works, and is not about to end."""

    def found() -> list[str]:
        pods = [pod for pod in cluster.get("pods")["items"] if "deletionTimestamp" not in pod["metadata"]]
        return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]

    return str(wait_for("a worker", found, PATIENCE)[0])


def kill_operator(scene: Scene) -> None:
    scene.cluster.kubectl("delete", "pod", *operators.SELECTOR, "--grace-period=0", "--force", namespace=SYSTEM)


def kill_worker(scene: Scene) -> None:
    scene.cluster.kubectl("delete", "pod", a_worker(scene.cluster), "--grace-period=0", "--force")


def evict_worker(scene: Scene) -> None:
    pod, namespace = a_worker(scene.cluster), scene.cluster.namespace
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    scene.cluster.kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))


def delete_job(scene: Scene) -> None:
    jobs = [job["metadata"]["name"] for job in scene.cluster.get("jobs")["items"]]
    (job,) = [job for job in jobs if "-copy" in job]
    scene.cluster.kubectl("delete", "job", job)


def kill_kubelet(_: Scene) -> None:
    engine = os.environ.get("BUCKETOPS_ENGINE", "host")
    subprocess.run([sys.executable, str(ROOT / "tests/cluster"), "kill", "--engine", engine], check=True)


def kill_store(scene: Scene) -> None:
    storage.kill_minio(scene.cluster)


def kill_database(scene: Scene) -> None:
    storage.kill_postgres(scene.cluster)


def replace_credentials(scene: Scene) -> None:
    storage.replace_credentials(scene.cluster, scene.world, scene.manifest)


def expect_the_right_end(cluster: Cluster, world: World) -> None:
    """Wait for the end and require that it is the right one."""
    cluster.kubectl("wait", "--for=condition=Complete", f"--timeout={2 * PATIENCE}s", "s3migration/avatars")
    status = cluster.status("s3migration", "avatars")
    moved = world.keys(world.destination, MODERN)
    assert set(moved) == {MODERN + name(number) for number in range(1, OBJECTS + 21)}
    assert world.keys(world.source) == {}
    assert not [path for path in world.paths() if path.startswith(LEGACY)]
    assert world.body(world.destination, MODERN + name(OBJECTS // 2)) == picture(OBJECTS // 2)
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == OBJECTS
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == OBJECTS


@pytest.mark.parametrize(
    "faults",
    [
        (kill_worker, evict_worker, kill_operator),
        (delete_job, kill_kubelet),
        (kill_store, kill_database, replace_credentials),
    ],
    ids=[
        "a worker killed, a worker evicted, the operator killed",
        "the Job deleted by hand, the kubelet killed",
        "MinIO killed, PostgreSQL killed, all credentials replaced and revoked at once",
    ],
)
def test_faults_in_the_middle_change_nothing_in_the_end(
    cluster: Cluster, faults: tuple[Callable[[Scene], None], ...]
) -> None:
    """After each fault the migration is seen to go on before the next one, and percent never falls."""
    scene = begin(cluster)
    with Reader(scene.world, threads=1, pause=0.01) as reader:
        seen = [at(scene, 20)]
        for fault in faults:
            fault(scene)
            seen.append(percent(cluster))
            seen.append(at(scene, seen[-1] + 1))
        scene.gate.open()
        expect_the_right_end(cluster, scene.world)
    assert seen == sorted(seen)
    assert reader.wrong == []


def test_a_deleted_resource_stops_its_pods_and_goes_on_when_applied_again(cluster: Cluster) -> None:
    scene = begin(cluster)
    world, gate = scene.world, scene.gate
    with Reader(world, threads=1, pause=0.01) as reader:
        at(scene, 20)
        cluster.kubectl("delete", "s3migration", "avatars", "--wait=true")
        gate.drain()
        wait_for("no pods", lambda: not cluster.get("pods")["items"], PATIENCE)
        assert 0 < gate.rewritten() < OBJECTS
        assert reader.wrong == []
        gate.open()
        cluster.apply(scene.manifest)
        expect_the_right_end(cluster, world)
    assert reader.wrong == []


def test_a_namespace_that_is_deleted_in_the_middle_goes_away_and_no_row_dangles(cluster: Cluster) -> None:
    scene = begin(cluster)
    with Reader(scene.world, threads=1, pause=0.01) as reader:
        at(scene, 20)
        scene.gate.open()
        cluster.kubectl("delete", "namespace", cluster.namespace, f"--timeout={PATIENCE}s")
    assert len(scene.world.keys(scene.world.source)) > 0
    assert reader.wrong == []


def test_two_operators_at_once_do_no_harm(cluster: Cluster) -> None:
    with operators.scaled(cluster, 2):
        scene = begin(cluster)
        at(scene, 20)
        assert len(operators.ready(cluster)) == 2
        scene.gate.open()
        expect_the_right_end(cluster, scene.world)


def test_a_mended_secret_starts_the_run_without_anything_else_to_do(cluster: Cluster) -> None:
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, 21))
    manifest["spec"]["cleanup"] = {"policy": "Retain"}
    cluster.apply(manifest)
    cluster.kubectl("wait", "--for=condition=Stalled", f"--timeout={PATIENCE}s", "s3migration/avatars")
    conditions = {c["type"]: c for c in cluster.status("s3migration", "avatars")["conditions"]}
    assert conditions["Stalled"]["reason"] == "CredentialsMissing"
    assert "Secret avatars-s3 (bucket legacy-s3) does not exist: create it" in conditions["Stalled"]["message"]
    give_access(cluster, world, manifest)
    cluster.kubectl("wait", "--for=condition=Complete", f"--timeout={PATIENCE}s", "s3migration/avatars")
    assert cluster.get("s3migration", "avatars")["metadata"]["generation"] == 1
