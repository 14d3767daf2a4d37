"""How a resource's work has ended: for conditions, for the Event, for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bucketops_api.reasons import Reason
from bucketops_operator import conditions


@dataclass(frozen=True)
class Conclusion:
    """How some work has ended."""

    well: bool
    phase: str
    reason: Reason
    message: str
    conditions: conditions.Verdicts


def conclusion(reason: Reason, message: str, *, well: bool = True, phase: str = "") -> Conclusion:
    """With the conditions that say so."""
    verdicts = (conditions.complete if well else conditions.failed)(reason, message)
    return Conclusion(well, phase or ("Succeeded" if well else "Failed"), reason, message, verdicts)
