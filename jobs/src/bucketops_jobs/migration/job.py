"""A worker of S3Migration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_api.reasons import Reason
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import DeniedError, UserError
from bucketops_jobs.migration import checks, context, phases
from bucketops_jobs.tally import Tally


def work(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One shard of one phase."""
    with closing(context.build(run, shard, root, engine, tally)) as made:
        try:
            return phases.PHASES[run.phase](made)
        except (DeniedError, UserError) as error:
            if isinstance(error, DeniedError) or error.reason is Reason.ACCESS_DENIED:
                checks.still_allowed(made)
            raise
