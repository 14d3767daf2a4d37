"""Conditions as kstatus reads them; a transition time changes only with the status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from bucketops_api.reasons import ConditionType, Reason
from bucketops_api.v1alpha1.common import Condition, ConditionStatus

_MESSAGE = 4096


class Verdict(NamedTuple):
    """What one condition says."""

    status: ConditionStatus
    reason: Reason
    message: str = ""


Verdicts = dict[ConditionType, Verdict]

READY, RECONCILING, STALLED, COMPLETE, FAILED, SUSPENDED, DEGRADED, ACCESS_VERIFIED = (
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.COMPLETE,
    ConditionType.FAILED,
    ConditionType.SUSPENDED,
    ConditionType.DEGRADED,
    ConditionType.ACCESS_VERIFIED,
)


def working(reason: Reason, message: str) -> Verdicts:
    """A run is under way."""
    return {
        READY: Verdict("False", Reason.IN_PROGRESS, message),
        RECONCILING: Verdict("True", reason, message),
        STALLED: Verdict("False", Reason.IN_PROGRESS),
        COMPLETE: Verdict("False", Reason.IN_PROGRESS),
        FAILED: Verdict("False", Reason.IN_PROGRESS),
        SUSPENDED: Verdict("False", Reason.NOT_SUSPENDED),
    }


def suspended(message: str) -> Verdicts:
    """The user told us to stop; all progress is kept."""
    return working(Reason.SUSPENDED, message) | {
        READY: Verdict("False", Reason.SUSPENDED, message),
        RECONCILING: Verdict("False", Reason.SUSPENDED, message),
        SUSPENDED: Verdict("True", Reason.SUSPENDED, message),
    }


def stalled(reason: Reason, message: str) -> Verdicts:
    """The user must change something; it is tried again then, and now and then by itself."""
    return working(reason, message) | {
        READY: Verdict("False", reason, message),
        RECONCILING: Verdict("False", reason, message),
        STALLED: Verdict("True", reason, message),
    }


def invalid(error: ValidationError) -> Verdicts:
    """A spec that an older API server let in."""
    first = error.errors()[0]
    return stalled(Reason.INVALID_SPEC, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}")


def failed(reason: Reason, message: str) -> Verdicts:
    """The run has ended, and not well."""
    return stalled(reason, message) | {
        COMPLETE: Verdict("False", reason, message),
        FAILED: Verdict("True", reason, message),
    }


def complete(reason: Reason, message: str) -> Verdicts:
    """The run has ended well."""
    return working(reason, message) | {
        READY: Verdict("True", reason, message),
        RECONCILING: Verdict("False", reason, message),
        STALLED: Verdict("False", reason),
        COMPLETE: Verdict("True", reason, message),
        FAILED: Verdict("False", reason),
    }


def merge(old: Sequence[Condition], verdicts: Verdicts, generation: int, now: datetime) -> list[Condition]:
    """The conditions after these verdicts; others stay as they are."""
    known = {condition.type: condition for condition in old}
    for type_, verdict in verdicts.items():
        before = known.get(type_)
        known[type_] = Condition(
            type=type_,
            status=verdict.status,
            reason=verdict.reason,
            message=verdict.message[:_MESSAGE],
            last_transition_time=before.last_transition_time if before and before.status == verdict.status else now,
            observed_generation=generation,
        )
    return list(known.values())


def is_true(conditions: Sequence[Condition], type_: ConditionType) -> bool:
    """Whether a condition holds."""
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)
