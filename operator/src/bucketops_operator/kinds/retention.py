"""S3Retention: what its one phase shows in its status. Pure; the machine is that of all scheduled kinds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bucketops_api import counts
from bucketops_api.contract import SAMPLES, RunResult
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.retention import Removal, RetentionProgress, RetentionSpec, RetentionStatus
from bucketops_operator import progress
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.conclusion import Conclusion, conclusion
from bucketops_operator.kinds.scheduled import Machine

_COUNTED = {
    "folders_seen": "foldersSeen",
    "folders_kept": "foldersKept",
    "folders_empty": "foldersEmpty",
    "folders_deleted": "foldersDeleted",
    "folders_skipped": "foldersSkipped",
    "folders_failed": "foldersFailed",
    "objects_deleted": counts.DELETED,
    "objects_failed": "objectsFailed",
    "bytes_freed": "bytesFreed",
}
"""Fields of the progress, and the worker's counts."""
_REFUSAL = "refusal"
"""The fact of a plan that a guard would not let through."""
_GO_ON = "set mode: Apply to delete them"


class Retention:
    """What S3Retention says of its phase."""

    phase = "retain"
    spec = RetentionSpec
    status = RetentionStatus

    def doing(self, spec: RetentionSpec) -> tuple[str, Reason]:
        """The phase for people, and the reason of its conditions."""
        return ("Planning", Reason.PLANNING) if spec.mode == "Plan" else ("Deleting", Reason.DELETING)

    def counted(self, status: RetentionStatus, found: Mapping[str, int], now: datetime) -> RetentionStatus:
        """The progress of a run under way; each run counts from zero."""
        seen = {field: found.get(count, 0) for field, count in _COUNTED.items()}
        begun = _same_run(status.progress, found.get("total", 0), found.get(counts.DONE, 0))
        advanced = progress.advance(
            begun, total=found.get("total", 0), done=found.get(counts.DONE, 0), bytes_done=0, now=now
        )
        return status.model_copy(update={"progress": advanced.model_copy(update=seen)})

    def finished(self, status: RetentionStatus, result: RunResult, now: datetime) -> RetentionStatus:
        """The numbers of a run that has ended, and where its report lies."""
        facts = {name: fact for name, fact in result.facts.items() if name != _REFUSAL}
        known = {
            "records": facts.pop("records", status.records),
            "report": facts.pop("report", status.report),
            "plan_hash": facts.pop("planHash", status.plan_hash),
        }
        going = {field: result.counts.get(f"removal/{field}", 0) for field in Removal.model_fields}
        exact = self.counted(status.model_copy(update={"progress": RetentionProgress()}), result.counts, now)
        return exact.model_copy(
            update={
                **known,
                "removal": Removal(**going),
                "capabilities": runs.capabilities(facts) or status.capabilities,
                "samples": list(result.samples[:SAMPLES]),
            }
        )

    def verdict(self, spec: RetentionSpec, status: RetentionStatus, result: RunResult) -> Conclusion:
        """Nothing says success while a single object that was to go is still there."""
        done, going, notes = status.progress, status.removal, f" {result.message}" if result.message else ""
        if spec.mode == "Plan":
            refusal = result.facts.get(_REFUSAL)
            then = f"Apply would refuse it ({Reason.GUARD_EXCEEDED}): {refusal}" if refusal else _GO_ON
            message = (
                f"{going.folders} of {done.folders_seen} folders would go ({going.objects} objects, {going.bytes} "
                f"bytes), by plan {status.plan_hash}; {then}.{notes}"
            )
            return conclusion(Reason.PLANNED, message, phase="Planned")
        message = (
            f"{done.folders_deleted} of {done.folders_seen} folders deleted ({done.objects_deleted} objects, "
            f"{done.bytes_freed} bytes freed), {done.folders_kept} kept"
        )
        if done.folders_skipped:
            message += f", {done.folders_skipped} skipped: they received objects after the plan"
        if done.folders_failed:
            failed = f"{message}, {done.folders_failed} failed with {done.objects_failed} objects; see status.samples"
            return conclusion(Reason.PARTIALLY_FAILED, f"{failed}; the next run goes on.{notes}", well=False)
        return conclusion(Reason.SUCCEEDED, f"{message}.{notes}")

    def final(self, reason: Reason) -> bool:
        """A plan above a guard stays above it until somebody looks."""
        return reason == Reason.GUARD_EXCEEDED

    def begins(self, _spec: RetentionSpec) -> bool:
        """A schedule says when."""
        return False

    def pods(self, _spec: RetentionSpec) -> tuple[int, int]:
        """One."""
        return 1, 1


def _same_run(known: RetentionProgress, total: int, done: int) -> RetentionProgress:
    """A run that began anew starts from nothing; one that goes on keeps its percent."""
    same = known.percent < progress.COMPLETE and known.objects_total == total and known.objects_done <= done
    return known if same else RetentionProgress()


desired = Machine(Retention()).desired
