"""A worker of S3Retention."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bucketops_api.contract import RunResult, RunSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.retention import context, retain
from bucketops_jobs.tally import Tally


def work(run: RunSpec, _shard: int, root: Path, engine: Engine, tally: Tally) -> RunResult:
    """One whole run."""
    with closing(context.build(run, root, engine, tally)) as made:
        return retain.run(made)
