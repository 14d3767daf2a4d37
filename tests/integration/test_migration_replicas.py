"""A migration goes no faster than the database's replicas follow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, World, name
from support.driver import condition
from support.replica import Replica, replica_of
from support.servers import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def replica(postgres: Server) -> Iterator[Replica]:
    with replica_of(postgres.port) as replica:
        yield replica


def lag(world: World) -> float:
    ((seconds,),) = world.sql("SELECT coalesce(extract(epoch FROM max(replay_lag)), 0)::float FROM pg_stat_replication")
    return float(seconds)


def wait_until_it_is_behind(world: World, seconds: float) -> None:
    deadline = time.monotonic() + 60
    while lag(world) < seconds:
        world.sql("CREATE TABLE IF NOT EXISTS beats (at timestamptz)")
        world.sql("INSERT INTO beats VALUES (now())")
        assert time.monotonic() < deadline, "the replica does not fall behind"
        time.sleep(0.2)


def test_the_copy_waits_for_a_replica_that_is_behind_and_goes_on_when_it_has_caught_up(
    lab: Any, replica: Replica
) -> None:
    lab.world.seed(legacy=range(1, 21))
    spec = lab.spec(chunk=5)
    spec["database"]["maxReplicationLag"] = "1s"
    driver = lab.drive(spec)

    def hold() -> None:
        replica.hold()
        wait_until_it_is_behind(lab.world, 2)

    driver.before("copy", hold)
    driver.until(lambda status: [run["phase"] for run in status.get("runs", ())][-1:] == ["copy"])
    for _ in range(30):
        status = driver.step()
        time.sleep(0.1)
    assert status["runs"][-1]["phase"] == "copy"
    assert status["runs"][-1]["result"] == "Running"
    assert lab.world.paths() == [LEGACY + name(n) for n in range(1, 21)]
    assert lag(lab.world) > 1
    replica.go_on()
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, 21)]
    assert lab.world.keys(lab.world.source) == {}
