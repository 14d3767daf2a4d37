"""The one phase: look, plan, and (Apply) delete what the plan says, if no guard objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bucketops_api.contract import RunResult
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.retention import guards, report, rules
from bucketops_jobs.retention.batches import Batches
from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.folders import Outcome, Plan
from bucketops_jobs.retention.inspection import Inspection, inspect
from bucketops_jobs.retention.journal import Journal
from bucketops_jobs.retention.journal import words as forgeries
from bucketops_jobs.retention.removal import Removal, Removed
from bucketops_jobs.retention.survey import survey

REFUSAL = "refusal"
"""The fact of a plan that Apply would refuse: by which guard, and what to do."""
NAMED = 5
"""Folders without content that the message names; the report has all."""


@dataclass(frozen=True)
class Planned:
    """A plan, and where it stands."""

    plan: Plan
    digest: str
    inspection: Inspection


def run(context: Context) -> RunResult:
    """Plan, then delete or not; the message is for people."""
    journal = Journal(context.records, context.spec.versions, context.seal, cleans=context.spec.mode == "Apply")
    planned = _plan(context, journal)
    if context.spec.mode == "Apply":
        _require_guards(context, planned)
        _apply(context, journal, planned)
    elif refusal := _refusal(context, planned):
        context.tally.facts[REFUSAL] = f"{refusal}. {_remedy(planned)}"
    notes = " ".join(filter(None, (*_notes(context, planned), forgeries(journal.forged))))
    return context.tally.result().model_copy(update={"message": notes})


def _plan(context: Context, journal: Journal) -> Planned:
    """The same for Plan and Apply. It is written down before anything is deleted."""
    inspection = inspect(context)
    plan = rules.plan(survey(context, journal), context.spec, inspection.now)
    digest, tally = guards.plan_hash(plan), context.tally
    key = report.write(context.records, report.PLANS, digest, report.planned(plan, inspection.now), inspection.now)
    tally.facts |= {"records": context.records.folder, "report": key, "planHash": digest, **inspection.facts()}
    condemned = plan.condemned
    found = {"foldersSeen": plan.seen, "foldersKept": plan.seen - len(condemned), "total": plan.objects}
    found |= {"foldersEmpty": len(plan.without_content)}
    found |= {"removal/folders": len(condemned), "removal/objects": plan.objects, "removal/bytes": plan.bytes}
    for name, amount in found.items():
        tally.add(name, amount)
    for verdict in condemned:
        size = f"{verdict.folder.objects} objects, {verdict.folder.bytes} bytes"
        tally.sample(verdict.folder.path, Outcome.PLANNED, f"{verdict.rule}; {size}")
    return Planned(plan, digest, inspection)


def _require_guards(context: Context, planned: Planned) -> None:
    """UserError above a guard: nothing at all is deleted, not even what would have been below it."""
    if refusal := _refusal(context, planned):
        raise UserError(Reason.GUARD_EXCEEDED, f"{refusal}, so nothing was deleted. {_remedy(planned)}")


def _refusal(context: Context, planned: Planned) -> str:
    """Why Apply deletes nothing; '' where no guard objects."""
    wanted = context.spec.approve_plan
    approved = report.approved(context.records, wanted)
    over = guards.exceeded(planned.plan, context.spec, approved or frozenset())
    if over and wanted and approved is None:
        return f"{over} (approvePlan {wanted[:12]}… is not among the last {report.KEPT} plans as they were written)"
    return over


def _remedy(planned: Planned) -> str:
    return (
        f"Read the plan (status.report names it); if it is right, set spec.approvePlan: {planned.digest}, else change "
        "the rules"
    )


def _apply(context: Context, journal: Journal, planned: Planned) -> None:
    context.tally.samples.clear()
    frees = planned.inspection.frees_space or context.spec.versions == "All"
    with Batches(context, frees_space=frees) as batches:
        removed = Removal(context, journal, batches).run(planned.plan.condemned)
    now = planned.inspection.now
    lines = report.done(planned.plan, removed, now)
    context.tally.facts["report"] = report.write(context.records, report.REPORTS, planned.digest, lines, now)
    _count(context, removed)


def _count(context: Context, removed: Sequence[Removed]) -> None:
    ends = Counter(one.outcome for one in removed)
    context.tally.add("foldersSkipped", ends[Outcome.SKIPPED])
    context.tally.add("foldersFailed", ends[Outcome.FAILED])


def _notes(context: Context, planned: Planned) -> Iterator[str]:
    """What people should know, however well it went."""
    found, spec, plan = planned.inspection, context.spec, planned.plan
    if not plan.seen:
        yield f"No folder was found at depth {spec.folders.depth} below {spec.bucket.bucket}/{spec.bucket.prefix}."
    if empty := plan.without_content:
        yield f"{_several(empty)}, so no keep rule counts {'it' if len(empty) == 1 else 'them'}."
    if spec.versions == "Current" and not found.frees_space and plan.condemned:
        yield (
            f"The bucket's versioning is {found.versioning}: deleted objects stay as old versions and no space is "
            "freed; choose versions: All, or a lifecycle rule with NoncurrentVersionExpiration."
        )
    if found.object_lock == "Enabled" and context.tally.counts["objectsFailed"]:
        yield "Object Lock is on: versions under retention or legal hold go when that ends; later runs try again."


def _several(empty: Sequence[str]) -> str:
    """Name folders that look like deployments and hold none."""
    named = ", ".join(empty[:NAMED]) + (", …" if len(empty) > NAMED else "")
    return (
        f"1 folder holds no content ({named})" if len(empty) == 1 else f"{len(empty)} folders hold no content ({named})"
    )
