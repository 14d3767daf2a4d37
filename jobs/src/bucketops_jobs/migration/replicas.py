"""Replicas of the database: the work waits for them, so that readers of a replica find what they are sent to."""

from __future__ import annotations

import logging

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import StoppedError, UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.rows import Rows

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0


def wait(context: Context) -> None:
    """Wait while a replica is further behind than allowed; an unknown lag is no reason to go on.

    The limit is read anew at each look, as it may change while the run works.
    """
    database = context.spec.database
    if context.rows is None or database is None or database.max_replication_lag is None:
        return
    with context.rows.waits.on("replicas"):
        _wait(context, context.rows, parse_duration(database.max_replication_lag).total_seconds())


def _wait(context: Context, rows: Rows, usual: float) -> None:
    told = False
    while True:
        most = context.pace.max_replication_lag or usual
        lag = rows.lag()
        if lag is None:
            raise UserError(
                Reason.ACCESS_DENIED, "the replication lag is unknown: GRANT pg_read_all_stats to this role"
            )
        if lag <= most:
            return
        if not told:
            log.warning("waits for a replica", extra={"lag_seconds": round(lag, 1), "most_seconds": most})
            told = True
        if context.engine.stop.wait(LOOK_SECONDS):
            raise StoppedError("told to stop while waiting for the replicas")
        context.pace.refresh()
