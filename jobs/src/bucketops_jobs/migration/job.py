"""A worker of S3Migration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_api.reasons import Reason
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import DatabaseError, DatabaseReadOnlyError, DatabaseUnreachableError, DeniedError, UserError
from bucketops_jobs.migration import checks, context, phases, visibility
from bucketops_jobs.migration.context import Context
from bucketops_jobs.tally import Tally


def work(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One shard of one phase.

    A database that the preflight cannot reach is the user's to mend; later on it comes back, or is tried again. What it
    refuses for good (a type, a setting, its own limits) is the user's in every phase, and looks like no crash.
    """
    try:
        with closing(context.build(run, shard, root, engine, tally)) as made:
            return _phase(made)
    except DatabaseUnreachableError as error:
        if run.phase != "preflight":
            raise
        raise UserError(Reason.DATABASE_UNREACHABLE, str(error)) from error
    except DatabaseError as error:
        if error.transient:
            raise
        raise UserError(Reason.DATABASE_REFUSED, f"the database refuses: {error}") from error


def _phase(made: Context) -> RunResult:
    """What is refused in mid-run is looked into: a right that was taken away has a name, and a role that may only read.

    A table that was altered since the preflight stops the phase at its beginning, or at the statement that meets it.
    Another server that takes no writes (a failover) is nobody's to mend.
    """
    try:
        if made.run.phase != "preflight":
            checks.still_as_planned(made)
        return phases.PHASES[made.run.phase](made)
    except DatabaseReadOnlyError:
        if made.rows is not None:
            visibility.require_session(made.rows)
        raise
    except DatabaseError as error:
        if not error.transient:
            checks.still_as_planned(made)
        raise
    except (DeniedError, UserError) as error:
        if isinstance(error, DeniedError) or error.reason is Reason.ACCESS_DENIED:
            checks.still_allowed(made)
        raise
