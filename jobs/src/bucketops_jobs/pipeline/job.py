"""A worker of ExifPipeline."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.pipeline import context, phases
from bucketops_jobs.tally import Tally


def work(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One shard of a sweep, or one listener until it is told to stop."""
    with closing(context.build(run, shard, root, engine, tally)) as made:
        return phases.PHASES[run.phase](made)
