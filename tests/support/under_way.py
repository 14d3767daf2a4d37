"""What a migration is at, as its status and the database show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.avatars import World

Wanted = Callable[[dict[str, Any]], bool]


def phase_is(phase: str, count: int = 1) -> Wanted:
    """Whether so many runs of a phase have begun."""
    return lambda status: [run["phase"] for run in status.get("runs", ())].count(phase) >= count


def waiting_for_locks(world: World) -> int:
    """How many wait for a row that somebody holds."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ((found,),) = world.sql(waits)
    return int(found)


def is_fenced(world: World) -> Wanted:
    """Whether a worker that is to delete asks which transactions are open."""
    asks = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND query LIKE %s LIMIT 1"
    )
    begun = phase_is("delete")
    return lambda status: begun(status) and world.sql(asks, ("%bucketops%pg_snapshot_xmin%",)) != []
