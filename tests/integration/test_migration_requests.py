"""What a migration costs in requests: COPY per object, LIST and journal per thousand, nothing else."""

from __future__ import annotations

from typing import Any

from support import generated

AMOUNT = 20_000


def test_requests_per_thousand_objects(lab: Any) -> None:
    """`make bench ARGS=shard` does the same with a million."""
    lab.world.sql("CREATE TABLE avatars (id serial PRIMARY KEY, path text NOT NULL)")
    lab.world.sql(f"INSERT INTO avatars (path) {generated.SQL.format(last=AMOUNT - 1)}")
    lab.world.sql(f"GRANT SELECT, UPDATE ON avatars TO {lab.database['PGUSER']}")
    requests, tally = generated.run(AMOUNT, lab.database, lab.root)
    assert tally.counts["objects/moved"] == tally.counts["rows/rewritten"] == AMOUNT
    assert lab.world.sql("SELECT count(*) FROM avatars WHERE path LIKE 'avatar/%'") == [(AMOUNT,)]
    thousands = AMOUNT / 1000
    assert requests["COPY"] == AMOUNT
    assert requests["HEAD"] == 0
    assert requests["LIST"] <= 4.2 * thousands
    assert requests["PUT"] <= 2 * thousands
