"""Rows whose objects are missing, however many: what looks for them asks for pages of a listing, never per row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name
from support.driver import condition, reason
from support.proxy import Proxy

pytestmark = pytest.mark.slow

OBJECTS = 40


def with_missing(world: Any, amount: int) -> None:
    world.seed(legacy=range(1, OBJECTS + 1))
    world.sql(
        "INSERT INTO avatars (path) SELECT 'image/avatar-' || n || '.png' FROM generate_series(1000, %s) AS n",
        (999 + amount,),
    )


@pytest.mark.parametrize("missing", [1_000, 100_000])
def test_rows_without_objects_cost_pages_and_no_requests_of_their_own(lab: Any, missing: int) -> None:
    """Seen: an audit that sent one LIST per row. All of them dangled before, which is nobody's doing.

    The bounds are the same for a hundred times the rows.
    """
    with_missing(lab.world, missing)
    with Proxy(lab.endpoint) as proxy:
        driver = lab.drive(lab.spec(endpoint=proxy.url))
        before: Counter[str] = Counter()
        status = driver.before("audit", lambda: before.update(proxy.counts)).finish(300)
        of_the_audit = proxy.counts - before
    assert condition(status, "Complete"), status
    assert status["rowOutcomes"]["missingSource"] == missing
    assert status["audit"]["before"]["danglingRows"] == status["audit"]["after"]["danglingRows"] == missing
    assert of_the_audit[f"GET {lab.world.source}"] < 50, of_the_audit
    assert proxy.counts[f"HEAD {lab.world.source}"] < 10 * OBJECTS, proxy.counts
    assert proxy.counts.total() < 1000, proxy.counts


def test_a_thousand_suspects_are_looked_at_again_by_pages(lab: Any) -> None:
    """Production objects that vanish right before the audit: each row is named, and nobody asks for each."""
    with_missing(lab.world, 1)
    amount = 1500
    with Proxy(lab.endpoint) as proxy:
        driver = lab.drive(lab.spec(endpoint=proxy.url))
        before: Counter[str] = Counter()

        def lose() -> None:
            lab.world.sql(
                "INSERT INTO avatars (path) SELECT 'avatar/avatar-' || n || '.png' FROM generate_series(5000, %s) AS n",
                (4999 + amount,),
            )
            lab.world.s3.delete_object(Bucket=lab.world.destination, Key=MODERN + name(5))
            before.update(proxy.counts)

        status = driver.before("audit", lose).finish()
        of_the_audit = proxy.counts - before
    assert reason(status, "Failed") == "AuditFailed", status
    assert f"{amount + 1} " in str(status["conditions"]), status["conditions"]
    assert of_the_audit[f"GET {lab.world.source}"] < 50, of_the_audit
    assert of_the_audit[f"GET {lab.world.destination}"] < 100, of_the_audit
    assert LEGACY + name(1000) in lab.world.paths()
