"""The phase machine of S3Access. Pure: spec, status, what exists and the time go in; what should be comes out.

grant -> check, every `interval` -> … ; rotate -> check when `rotate` changes; revoke when the resource goes. The status
is the whole memory, but for a staged key pair, which the executor remembers: lost with it, the rotation begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bucketops_api.names import staged_secret
from bucketops_api.privileges.access import oversize
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec, AccessStatus
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_operator import access_limits, conditions
from bucketops_operator.conditions import Verdict
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.kinds import access_results as results
from bucketops_operator.kinds import runs
from bucketops_operator.kinds.access_case import MADE, Case, objects, started
from bucketops_operator.kinds.waits import waits
from bucketops_operator.settings import Settings

PHASES = {
    "grant": ("Granting", Reason.GRANTING),
    "check": ("Checking", Reason.CHECKING),
    "rotate": ("Rotating", Reason.ROTATING),
    "revoke": ("Revoking", Reason.REVOKING),
}
JOBS_KEPT = 3
"""Ended Jobs that stay for their logs; a check comes every few minutes."""
_SOON = timedelta(seconds=1)


def desired(resource: Resource, history: Sequence[ObservedRun], now: datetime, settings: Settings) -> Desired:
    """What should be now."""
    status = AccessStatus.model_validate(resource.status)
    status.observed_generation = resource.generation
    try:
        spec = AccessSpec.model_validate(resource.spec)
    except ValidationError as error:
        status.conditions = conditions.merge(status.conditions, conditions.invalid(error), resource.generation, now)
        return Desired(status, keep=frozenset(run.run for run in history), held=resource.held)
    spec = access_limits.bounded(spec, settings.access)
    case = _observed(Case(resource, spec, status, history, now, settings))
    if resource.deleting:
        return _answer(_ending(case))
    if case.run is None and not spec.suspend:
        refused = _refused(case)
        if refused is not None:
            return replace(_answer(refused), requeue=None)
        case = _next(case)
    return _answer(_suspended(case) if spec.suspend else case)


def _refused(case: Case) -> Case | None:
    """Say what keeps a Job from being started; None where nothing does."""
    found = {
        Reason.REFUSED: access_limits.refusal(case.resource.namespace, case.spec, case.settings.access),
        Reason.POLICY_TOO_LONG: oversize(case.spec),
    }
    for reason, message in found.items():
        if message:
            stalled = case.judged(conditions.stalled(reason, message))
            told = stalled.status.conditions == case.status.conditions
            return stalled if told else stalled.told(reason, message, warning=True)
    return None


def _observed(case: Case) -> Case:
    """Fold what the current run shows into the status."""
    run, seen = case.run, runs.observed(case.run, case.history)
    if run is None or seen is None:
        return case
    if not runs.ended(seen):
        return _waits(case, seen)
    if seen.state == "Failed":
        return _failed(case.without_staged(run), run, seen)
    if lost := _lost(case, run, seen):
        return lost
    if run.phase == "revoke":
        return case.ended("Succeeded").with_status(secret=seen.result.facts.get("secret", ""))
    return _rotated(case, run, seen) if run.phase == "rotate" else _granted(case, run, seen)


def _lost(case: Case, run: Run, seen: ObservedRun) -> Case | None:
    """A run whose result is unknown has failed, and is tried again; None where the result can be read."""
    wrong = results.unreadable(case.spec, seen.result) if run.phase != "revoke" and not seen.lost else ""
    if wrong:
        seen = replace(seen, lost=1, unknown=wrong)
    if not seen.lost:
        return None
    case = case.without_staged(run).ended("Failed")
    message, verdicts = runs.unknown(seen, case.status.runs, PHASES[run.phase][1])
    if verdicts[conditions.STALLED].status == "False":  # a user that was ready still is
        verdicts = {conditions.RECONCILING: verdicts[conditions.RECONCILING]}
    return case.judged(verdicts).told(Reason.RESULT_UNKNOWN, message, warning=True)


def _waits(case: Case, seen: ObservedRun) -> Case:
    """Say what is in the way of a run; a check that goes on says nothing."""
    waiting = seen.waiting or waits(seen)
    if not waiting or case.spec.suspend:
        return case
    phase = PHASES[seen.phase][1]
    return case.judged({conditions.RECONCILING: Verdict("True", phase, waiting)})


def _failed(case: Case, run: Run, seen: ObservedRun) -> Case:
    failure = seen.failure
    known = failure.reason if failure else ""
    reason = Reason(known) if known in set(Reason) else Reason.RUN_FAILED
    message = (failure.message if failure else "") or f"run {run.id} failed"
    if run.phase == "revoke":
        message += "; or set deletionPolicy: Retain, which leaves the user as it is and lets this resource go"
    return case.ended("Failed").judged(conditions.stalled(reason, message)).told(reason, message, warning=True)


def _granted(case: Case, run: Run, seen: ObservedRun) -> Case:
    """Everything is in place, or the proof says what is not."""
    result, repaired = seen.result, results.repairs(seen.result)
    ready = conditions.is_true(case.status.conditions, conditions.READY)
    first = not case.status.access_key_id
    case = case.ended("Succeeded", changed=result.counts.get("changed", 0)).with_status(
        **results.found(case.spec, result, case.now),
        retiring_keys=results.retiring(result.facts),
        rotated=case.spec.rotate if first else case.status.rotated,
    )
    case = case.judged(results.verdicts(case.spec, result))
    well = conditions.is_true(case.status.conditions, conditions.ACCESS_VERIFIED)
    case = case.with_status(phase="Ready" if well else "NotAsGranted")
    message = next(c.message for c in case.status.conditions if c.type == conditions.READY)
    if run.phase == "check" and repaired:
        case = case.with_status(repairs=case.status.repairs + 1)
        case = case.told(Reason.DRIFT_REPAIRED, repaired, warning=True)
    if not well:
        return case.told(Reason.NOT_AS_GRANTED, message, warning=True)
    return case if ready else case.told(Reason.GRANTED, message)


def _due(case: Case) -> datetime | None:
    """When to look again: after the interval, or when a former key's time is over; None: nothing was proved yet."""
    proved, ends = case.status.verified_at, (key.until for key in case.status.retiring_keys)
    if proved is None:
        return None
    return min([proved + parse_duration(case.spec.interval), *(end + _SOON for end in ends)])


def _rotated(case: Case, run: Run, seen: ObservedRun) -> Case:
    """The new key works: put it in place. One that a restart has made us forget cannot be, and all begins anew."""
    staged, facts = staged_secret(run.id), seen.result.facts
    case = case.ended("Succeeded")
    if case.spec.provider == "MinIO" and facts.get("secret") == MADE:
        if not seen.staged:
            return case.without_staged(run)
        case = case.changing(case.change("Promote", case.secret_name, staged))
    message = f"key {facts.get('accessKey', '')} is in use; the former one works for another {case.spec.key_overlap}"
    return case.with_status(rotated=case.spec.rotate, access_key_id=facts.get("accessKey", "")).told(
        Reason.ROTATED, message
    )


def _next(case: Case) -> Case:
    """Start the run that comes next, if it is time."""
    status, spec = case.status, case.spec
    last = status.runs[-1] if status.runs else None
    if last is None or (status.spec_digest, status.last_trigger) != (case.digest, spec.trigger):
        return _begin(case.with_status(spec_digest=case.digest, last_trigger=spec.trigger), "grant")
    if last.result == "Failed":
        return _begin(case, last.phase) if case.now >= runs.retry_at(status.runs) else case
    wanted = bool(status.access_key_id) and status.rotated != spec.rotate
    if wanted and _replaceable(case):
        return _begin(case, "rotate")
    case = _degraded(case, waits=wanted)
    due = _due(case)
    resumed = conditions.is_true(status.conditions, conditions.SUSPENDED)
    return _begin(case, "check") if due is None or case.now >= due or resumed or last.phase == "rotate" else case


def _replaceable(case: Case) -> bool:
    """Whether the operator may put a new key into the credentials Secret, where that is for it to do."""
    made = case.spec.provider == "MinIO" and case.status.secret == MADE
    return not made or case.secret_name in case.status.secret_uids


def _degraded(case: Case, *, waits: bool) -> Case:
    """Say that a rotation waits for somebody to delete the Secret, which is a rotation as well; checks go on."""
    known = conditions.is_true(case.status.conditions, conditions.DEGRADED)
    if not waits:
        return case.judged({conditions.DEGRADED: Verdict("False", Reason.HEALTHY)}) if known else case
    message = (
        f"Secret {case.secret_name} was not made by this very resource, so it is not replaced: delete it to rotate; a "
        f"new one with a new key is made, and the former key works for another {case.spec.key_overlap}"
    )
    named = case.judged({conditions.DEGRADED: Verdict("True", Reason.REFUSED, message)})
    return named if known else named.told(Reason.REFUSED, message, warning=True)


def _begin(case: Case, phase: str) -> Case:
    """A check and a rotation leave a user that is ready as it is."""
    case = started(case, phase)
    name, reason = PHASES[phase]
    message = f"run {case.status.runs[-1].id} has started"
    if conditions.is_true(case.status.conditions, conditions.SUSPENDED):
        return case.judged(conditions.working(reason, message), phase=name).told(Reason.RESUMED, message)
    if phase == "check":
        return case
    if phase == "rotate":
        return case.with_status(phase=name).told(reason, message)
    return case.judged(conditions.working(reason, message), phase=name).told(reason, message)


def _suspended(case: Case) -> Case:
    message = "spec.suspend is true: nothing is checked or repaired; set it to false to go on"
    already = conditions.is_true(case.status.conditions, conditions.SUSPENDED)
    held = case.judged(conditions.suspended(message), phase="Suspended")
    return held if already else held.told(Reason.SUSPENDED, message)


def _ending(case: Case) -> Case:
    """The resource goes: first, if it is to be so, what it made."""
    if case.spec.deletion_policy == "Retain" or _revoked(case):
        return case
    run = case.run
    if run is not None and run.phase == "revoke":
        return case
    if run is not None:
        case = case.without_staged(run).ended("Failed")
    last = case.status.runs[-1] if case.status.runs else None
    waits = last is not None and last.phase == "revoke" and case.now < runs.retry_at(case.status.runs)
    return case if waits else _begin(case, "revoke")


def _revoked(case: Case) -> bool:
    """Whether the last run has removed the user."""
    last = case.status.runs[-1] if case.status.runs else None
    return last is not None and (last.phase, last.result) == ("revoke", "Succeeded")


def _answer(case: Case) -> Desired:
    run = case.run
    held = case.spec.deletion_policy == "Delete"
    if case.resource.deleting and (not held or _revoked(case)):
        return _gone(case)
    kept = case.status.runs[-1 if case.resource.deleting else -JOBS_KEPT :]
    return Desired(
        status=case.status.model_copy(update={"next_check_at": _due(case)}),
        objects=objects(case, run) if run else (),
        keep=frozenset(known.id for known in kept),
        events=case.events,
        requeue=_requeue(case, run),
        secrets=case.secrets,
        held=held,
    )


def _gone(case: Case) -> Desired:
    """The last answer about a resource. A Secret that somebody else made stays."""
    revoked, status = _revoked(case), case.status
    known = case.secret_name in status.secret_uids
    drops = (*case.secrets, case.change("Drop", case.secret_name)) if revoked and known else case.secrets
    what = f"user {case.spec.user} with its keys and its policy is gone" if revoked else f"user {case.spec.user} stays"
    if revoked and status.secret == MADE and not known:
        what += f"; Secret {case.secret_name} stays, for it is not known to be ours: delete it if nobody needs it"
    told = case.told(Reason.REVOKED if revoked else Reason.RETAINED, what)
    return Desired(status=status, events=told.events, secrets=drops)


def _requeue(case: Case, run: Run | None) -> timedelta | None:
    if run is not None:
        return timedelta(seconds=case.settings.status_seconds)
    if case.spec.suspend and not case.resource.deleting:
        return None
    if not case.status.runs:
        return None
    last = case.status.runs[-1]
    due = runs.retry_at(case.status.runs) if last.result == "Failed" else _due(case)
    if last.phase == "rotate" or due is None:
        return _SOON
    return max(_SOON, due - case.now)
