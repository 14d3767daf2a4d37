"""One migration of 10,000 objects in the cluster; its evidence serves many tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.avatars import LEGACY, MODERN, Reader, name
from support.cluster import EXAMPLES, Cluster, avatars_world, example, give_access, namespace, wait_for
from support.evidence import NATIVE, OBJECTS, TWICE, Evidence, Watcher
from support.gate import Gate


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with namespace("e2e") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated(cluster: Cluster) -> Evidence:
    """The example, applied as it stands, on 10,000 objects; held on its way until everybody has seen it there."""
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, OBJECTS + 1), NATIVE)
    world.insert(LEGACY + name(number) for number in TWICE)
    native = world.keys(world.destination, MODERN)
    worker, database = manifest["spec"]["worker"], manifest["spec"]["database"]
    gate = Gate(world, objects=OBJECTS, workers=worker["parallelism"], chunk=database["batchSize"])
    give_access(cluster, world, manifest)
    with Reader(world, threads=2) as reader, Watcher(cluster, world) as watcher:
        cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3migration.yaml"))
        for percent in (10, 35, 60):
            gate.reach(percent)
            wait_for(f"{percent} %", lambda least=percent: watcher.done() >= OBJECTS * least // 100, 300)
        wait_for("5000 reads", lambda: reader.reads >= 5000, 600)
        gate.open()
        waited = cluster.kubectl("wait", "--for=condition=Complete", "--timeout=15m", "s3migration/avatars")
    return Evidence(world, native, watcher, reader, cluster.status("s3migration", "avatars"), waited)
