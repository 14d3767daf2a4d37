"""What an error of the loop itself becomes in a resource's status; pure.

Errors of a run (a failed Job, say) are told by its kind's phase machine; these here kept the machine from its work.
"""

from __future__ import annotations

from datetime import datetime

from bucketops_api.reasons import ConditionType, Reason
from bucketops_api.v1alpha1.common import Status
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.conditions import Verdict, Verdicts, merge
from bucketops_operator.errors import StalledError
from bucketops_operator.executor import Resource


def troubled(resource: Resource, error: Exception, reason: Reason, now: datetime) -> Status | None:
    """Return the resource's status with the error in its conditions; None if it says so already.

    `Stalled` when the user must act, else `Reconciling`, as kstatus wants it; the next reconcile sets them anew.
    """
    status = KINDS[resource.kind].status.model_validate(resource.status)
    verdicts = _verdicts(reason, str(error), stalled=isinstance(error, StalledError))
    conditions = merge(status.conditions, verdicts, resource.generation, now)
    if conditions == status.conditions:
        return None
    return status.model_copy(update={"conditions": conditions, "observed_generation": resource.generation})


def _verdicts(reason: Reason, message: str, *, stalled: bool) -> Verdicts:
    return {
        ConditionType.READY: Verdict("False", reason, message),
        ConditionType.STALLED: Verdict("True" if stalled else "False", reason, message),
        ConditionType.RECONCILING: Verdict("False" if stalled else "True", reason, message),
    }
