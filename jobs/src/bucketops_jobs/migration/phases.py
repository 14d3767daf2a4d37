"""The phases of a migration by name, as a worker runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bucketops_api.contract import RunResult
from bucketops_api.reasons import Reason
from bucketops_jobs.migration import audit, copy, delete, plan, preflight
from bucketops_jobs.migration.context import Context


def _preflight(context: Context) -> RunResult:
    artifact, warnings = preflight.run(context)
    reason = Reason.PREFLIGHT_WARNING if warnings else ""
    return context.tally.result().model_copy(update={"plan": artifact, "message": warnings, "reason": reason})


def _counted(phase: Callable[[Context], None]) -> Callable[[Context], RunResult]:
    def run(context: Context) -> RunResult:
        phase(context)
        if context.report is not None:
            context.report.close()
        return context.tally.result()

    return run


PHASES: Mapping[str, Callable[[Context], RunResult]] = {
    "preflight": _preflight,
    "plan": _counted(plan.run),
    "copy": _counted(copy.run),
    "sweep": _counted(copy.run),
    "delete": _counted(delete.run),
    "audit": _counted(audit.run),
}
