"""Faults between the operator, here a process of this machine, and its API server; the rest is the cluster."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api_server import ApiServer, Call
from support.avatars import LEGACY, MODERN, Reader, World, name
from support.cluster import Cluster, avatars_world, example, give_access, namespace, wait_for
from support.driver import condition
from support.operator_process import OperatorProcess
from support.operators import PATIENCE, scaled

OBJECTS = 120
OUTAGE = 60.0
REFUSED = 0.1
"""Of all requests."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with namespace("operator") as cluster, scaled(cluster, 0):
        yield cluster


@pytest.fixture
def api(cluster: Cluster) -> Iterator[ApiServer]:
    with ApiServer(cluster.program) as api:
        yield api


@pytest.fixture
def operator(cluster: Cluster, api: ApiServer, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(cluster, api.url, tmp_path) as operator:
        yield operator


@pytest.fixture
def chance() -> random.Random:
    """Printed, and set again by CHANCE_SEED."""
    seed = int(os.environ.get("CHANCE_SEED") or time.time())
    print(f"CHANCE_SEED={seed}")
    return random.Random(seed)


def begin(cluster: Cluster) -> World:
    """The example on a small world, with a short grace."""
    world, manifest = avatars_world(cluster), example("s3migration")
    world.seed(range(1, OBJECTS + 1))
    manifest["spec"]["cleanup"]["grace"] = "3s"
    manifest["spec"]["worker"]["parallelism"] = 2
    give_access(cluster, world, manifest)
    cluster.apply(manifest)
    return world


def phases(cluster: Cluster) -> list[str]:
    return [run["phase"] for run in cluster.status("s3migration", "avatars").get("runs", ())]


def expect_the_right_end(cluster: Cluster, world: World, operator: OperatorProcess) -> dict[str, Any]:
    def ended() -> dict[str, Any]:
        status = cluster.status("s3migration", "avatars")
        return status if any(condition(status, type_) for type_ in ("Complete", "Failed", "Stalled")) else {}

    status: dict[str, Any] = wait_for("the end", ended, PATIENCE)
    assert condition(status, "Complete"), (status, operator.log()[-4000:])
    assert set(world.keys(world.destination)) == {MODERN + name(number) for number in range(1, OBJECTS + 1)}
    assert world.keys(world.source) == {}
    assert not [path for path in world.paths() if path.startswith(LEGACY)]
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == OBJECTS
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == OBJECTS
    return status


class Killer:
    """SIGKILL in the moment between the API server's answer and the operator's hearing of it; once for each write."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._operator = operator
        self.kills: list[str] = []

    def __call__(self, call: Call) -> None:
        what = transition(call)
        if call.writes and what not in self.kills:
            self.kills.append(what)
            self._operator.kill()


def transition(call: Call) -> str:
    """What a write does; writes of the same progress are one."""
    metadata, status = call.body.get("metadata") or {}, call.body.get("status") or {}
    runs = [(run["id"], run.get("result")) for run in status.get("runs", ())[-1:]]
    return f"{call.method} {call.path} {metadata.get('name', '')} {status.get('phase', '')} {runs}"


def test_killed_after_each_thing_that_it_wrote_the_operator_goes_on_where_it_was(
    cluster: Cluster, api: ApiServer, operator: OperatorProcess
) -> None:
    killer = Killer(operator)
    api.after = killer
    world = begin(cluster)
    with Reader(world, threads=1, pause=0.01) as reader:

        def completed() -> bool:
            if not operator.alive:
                operator.start()
            return condition(cluster.status("s3migration", "avatars"), "Complete")

        wait_for("the end, in spite of the kills", completed, 3 * PATIENCE)
        status = expect_the_right_end(cluster, world, operator)
    assert reader.wrong == []
    written = {what.split()[1].rsplit("/", 1)[-1] for what in killer.kills if what.startswith("POST")}
    assert {"jobs", "configmaps"} <= written, killer.kills
    assert len(killer.kills) >= 3 * len({run["phase"] for run in status["runs"]}), killer.kills
    assert len(status["runs"]) == len({run["id"] for run in status["runs"]}), "no run was begun twice"


def test_an_api_server_that_refuses_cuts_and_is_gone_for_a_minute_is_waited_for(
    cluster: Cluster, api: ApiServer, operator: OperatorProcess, chance: random.Random
) -> None:
    """409 for what is written, 429 and 500 for anything, and watches that end; the operator never dies of it."""

    def rule(call: Call) -> int | None:
        if chance.random() >= REFUSED:
            return None
        return chance.choice([409, 429, 500] if call.writes else [429, 500])

    api.rule = rule
    world = begin(cluster)
    with Reader(world, threads=1, pause=0.01) as reader:
        wait_for("the copy", lambda: "copy" in phases(cluster), PATIENCE)
        api.cut()
        with api.away():
            time.sleep(OUTAGE)
        assert operator.alive
        expect_the_right_end(cluster, world, operator)
    assert operator.alive
    assert operator.starts == 1
    assert reader.wrong == []
    assert api.refused
