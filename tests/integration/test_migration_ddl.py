"""Whole migrations in random DDL: Complete means no legacy row, and no row ever names an object that is not there."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from support.ddl import WORLDS, Ddl
from support.driver import condition, message, reason
from support.examples import examples

pytestmark = pytest.mark.slow

MOST_RUNS = 9
"""Phases until the end: nobody sweeps for ever."""


@settings(
    max_examples=examples(8),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # an example takes seconds: none is made smaller
    print_blob=True,
)
@given(ddl=WORLDS)
def test_complete_means_no_legacy_row_and_no_dangling_row(lab: Any, ddl: Ddl) -> None:
    world = lab.world
    world.make_buckets()
    try:
        ddl.make(world, lab.database["PGUSER"])
    except psycopg2.Error:  # no such table can be
        reject()
    assert ddl.wrong(world) == []
    lab.grants = False
    driver = lab.drive(lab.spec(filter={}, chunk=2, **ddl.spec))
    status = driver.finish(120)
    driver.local.close()
    assert ddl.wrong(world) == []
    assert len(status["runs"]) <= MOST_RUNS
    assert "ApplicationStillWrites" not in {reason(seen, "Degraded") for seen in driver.seen}
    if condition(status, "Complete"):
        assert ddl.legacy(world) == []
        assert not world.keys(world.source) or ddl.spec["cleanup"]["policy"] == "Retain"
    else:
        assert message(status, "Stalled") or message(status, "Failed")
