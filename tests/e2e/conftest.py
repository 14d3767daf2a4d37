"""One migration of 10,000 objects in the cluster; its evidence serves many tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.avatars import LEGACY, MODERN, Reader, name
from support.cluster import EXAMPLES, Cluster, avatars_world, example, give_access, namespace
from support.evidence import NATIVE, OBJECTS, TWICE, Evidence, Watcher


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with namespace("e2e") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated(cluster: Cluster) -> Evidence:
    """The example, applied as it stands, on 10,000 objects."""
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, OBJECTS + 1), NATIVE)
    world.insert(LEGACY + name(number) for number in TWICE)
    native = world.keys(world.destination, MODERN)
    give_access(cluster, world, manifest)
    with Reader(world, threads=2) as reader, Watcher(cluster, world) as watcher:
        cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3migration.yaml"))
        waited = cluster.kubectl("wait", "--for=condition=Complete", "--timeout=8m", "s3migration/avatars")
    return Evidence(world, native, watcher, reader, cluster.status("s3migration", "avatars"), waited)
