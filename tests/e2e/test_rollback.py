"""A finished S3Migration in the cluster is brought back by a second resource; the application has worked on since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bucketops_api.v1alpha1.migration import MigrationRequest
from bucketops_api.v1alpha1.rollback import work_of
from support.avatars import LEGACY, MODERN, World, name, picture
from support.cluster import Cluster, avatars_world, example, give_access, give_rights, namespace

MOVED = range(1, 201)
NATIVE = range(1001, 1011)
LATER = 2001
"""An avatar that the application uploads after the migration, at the modern place alone."""
REPLACED, DELETED = 3, 4
STAYED = [number for number in MOVED if number != DELETED]


@dataclass
class Returned:
    """What was there before, and what the rollback has made of it."""

    cluster: Cluster
    world: World
    paths: list[str]
    native: dict[str, Any]
    first: dict[str, Any]
    """The migration's status at its end."""
    status: dict[str, Any]
    """The rollback's."""


@pytest.fixture(scope="module")
def returned() -> Iterator[Returned]:
    """The example on a small world, then `rollbackOf` it, each with its own documented rights and no others."""
    with namespace("rollback") as cluster:
        world, manifest = avatars_world(cluster), example("s3migration")
        world.seed(MOVED, NATIVE)
        world.insert([LEGACY + name(7)])  # a second row of one object
        paths = world.paths()
        manifest["spec"]["cleanup"]["grace"] = "2s"
        manifest["spec"]["worker"] = {"parallelism": 2, "shards": 2, "concurrency": 16}
        give_access(cluster, world, manifest)
        first = run(cluster, manifest)
        assert world.keys(world.source) == {}, "the migration has deleted what it moved"
        the_application_works_on(world)
        native = {key: value for key, value in world.keys(world.destination).items() if key in natives()}
        undo = manifest | {"metadata": {"name": "avatars-back"}, "spec": {"rollbackOf": "avatars"}}
        origin, request = (MigrationRequest.model_validate(one["spec"]) for one in (manifest, undo))
        give_rights(cluster, world, work_of(request, origin))
        yield Returned(cluster, world, paths, native, first, run(cluster, undo))


def run(cluster: Cluster, manifest: dict[str, Any]) -> dict[str, Any]:
    """Apply it and wait for its end."""
    cluster.apply(manifest)
    resource = manifest["metadata"]["name"]
    cluster.kubectl("wait", "--for=condition=Complete", "--timeout=5m", f"s3migration/{resource}")
    return cluster.status("s3migration", resource)


def the_application_works_on(world: World) -> None:
    """It replaces a picture by its new key, deletes another with its row, and uploads one of its own."""
    world.s3.put_object(Bucket=world.destination, Key=MODERN + name(REPLACED), Body=picture(REPLACED, 1))
    world.sql("DELETE FROM avatars WHERE path = %s", (MODERN + name(DELETED),))
    world.s3.delete_object(Bucket=world.destination, Key=MODERN + name(DELETED))
    world.put_modern([LATER])
    world.insert([MODERN + name(LATER)])


def natives() -> set[str]:
    return {MODERN + name(number) for number in (*NATIVE, LATER)}


def test_it_is_complete_and_says_what_came_back(returned: Returned) -> None:
    assert returned.status["phase"] == "Succeeded"
    assert returned.status["progress"]["percent"] == 100
    (complete,) = [c for c in returned.status["conditions"] if c["type"] == "Complete"]
    rows = len(STAYED) + 1
    assert complete["message"] == f"{len(STAYED)} objects copied back, 0 were there already, {rows} rows rewritten"
    assert returned.status["outcomes"] == {
        "moved": len(STAYED), "already": 0, "conflict": 0, "changedByApp": 1, "ignored": 0, "failed": 0,
    }  # fmt: skip
    assert returned.status["audit"]["after"] == {
        "legacyObjects": len(STAYED), "legacyRows": rows, "danglingRows": 0, "productionObjects": len(natives()),
    }  # fmt: skip


def test_every_object_is_back_as_it_was_before_the_migration(returned: Returned) -> None:
    world = returned.world
    assert set(world.keys(world.source)) == {LEGACY + name(number) for number in STAYED}
    for number in (1, 7, 100, 200):
        answer = world.s3.get_object(Bucket=world.source, Key=LEGACY + name(number))
        assert answer["Body"].read() == picture(number)
        assert (answer["ContentType"], answer["Metadata"]) == ("image/png", {"avatar": str(number)})


def test_every_row_names_the_legacy_object_again(returned: Returned) -> None:
    gone = LEGACY + name(DELETED)
    assert returned.world.paths() == [path for path in returned.paths if path != gone] + [MODERN + name(LATER)]


def test_what_the_application_changed_since_comes_back_with_it(returned: Returned) -> None:
    """Its newer picture under the legacy key; what it deleted stays deleted."""
    world = returned.world
    assert world.body(world.source, LEGACY + name(REPLACED)) == picture(REPLACED, 1)
    assert LEGACY + name(DELETED) not in world.keys(world.source)


def test_native_objects_and_their_rows_are_left_untouched(returned: Returned) -> None:
    """And nothing else is left at the modern place: the copies that the migration made are gone."""
    world = returned.world
    assert set(returned.native) == natives()
    assert world.keys(world.destination) == returned.native
    assert natives() <= set(world.paths())


def test_the_migration_keeps_its_status_and_kubectl_shows_both(returned: Returned) -> None:
    now = returned.cluster.status("s3migration", "avatars")
    assert (now["phase"], now["outcomes"]) == (returned.first["phase"], returned.first["outcomes"])
    shown = returned.cluster.kubectl("get", "s3mig").strip().splitlines()[1:]
    assert {line.split()[0]: line.split()[1] for line in shown} == {"avatars": "Succeeded", "avatars-back": "Succeeded"}
