"""The phases of a pipeline by their names in a RunSpec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bucketops_api.contract import RunResult
from bucketops_jobs.pipeline import listen, sweep
from bucketops_jobs.pipeline.context import Context

PHASES: Mapping[str, Callable[[Context], RunResult]] = {"listen": listen.run, "sweep": sweep.run}
