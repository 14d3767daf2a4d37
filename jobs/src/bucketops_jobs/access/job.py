"""A worker of S3Access."""

from __future__ import annotations

from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_jobs.access import context, phases
from bucketops_jobs.engine import Engine
from bucketops_jobs.tally import Tally


def work(run: RunSpec, _shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One phase."""
    return phases.PHASES[run.phase](context.build(run, root, engine.pace, tally))
