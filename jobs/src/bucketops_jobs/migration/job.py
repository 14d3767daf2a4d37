"""A worker of S3Migration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_api.reasons import Reason
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import DatabaseUnreachableError, UserError
from bucketops_jobs.migration import context, phases
from bucketops_jobs.tally import Tally


def work(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One shard of one phase.

    A database that the preflight cannot reach is the user's to mend; later on it comes back, or is tried again.
    """
    try:
        with closing(context.build(run, shard, root, engine, tally)) as made:
            return phases.PHASES[run.phase](made)
    except DatabaseUnreachableError as error:
        if run.phase != "preflight":
            raise
        raise UserError(Reason.DATABASE_UNREACHABLE, str(error)) from error
