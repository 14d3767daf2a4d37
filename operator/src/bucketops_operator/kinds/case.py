"""One call of a phase machine: what it was given, and what it has said so far. Pure, and the same for every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Model, Status
from bucketops_operator import conditions
from bucketops_operator.executor import Event, ObservedRun, Resource
from bucketops_operator.settings import Settings

SpecT = TypeVar("SpecT", bound=Model)
StatusT = TypeVar("StatusT", bound=Status)


@dataclass(frozen=True)
class Case(Generic[SpecT, StatusT]):
    """One call of a machine."""

    resource: Resource
    spec: SpecT
    status: StatusT
    history: Sequence[ObservedRun]
    now: datetime
    settings: Settings
    events: tuple[Event, ...] = ()

    def judged(self, verdicts: conditions.Verdicts, **changes: object) -> Case[SpecT, StatusT]:
        """The same with other conditions, and other fields of the status."""
        merged = conditions.merge(self.status.conditions, verdicts, self.resource.generation, self.now)
        return self.noted(conditions=merged, **changes)

    def noted(self, **changes: object) -> Case[SpecT, StatusT]:
        """The same with other fields of the status."""
        return replace(self, status=self.status.model_copy(update=changes))

    def told(self, reason: str, message: str, *, warning: bool = False) -> Case[SpecT, StatusT]:
        """The same with one more Event."""
        event = Event(reason, message, "Warning" if warning else "Normal")
        return replace(self, events=(*self.events, event))

    def suspended(self) -> Case[SpecT, StatusT]:
        """The user told us to stop."""
        message = "spec.suspend is true: all progress is kept; set it to false to go on"
        already = conditions.is_true(self.status.conditions, conditions.SUSPENDED)
        held = self.judged(conditions.suspended(message), phase="Suspended")
        return held if already else held.told(Reason.SUSPENDED, message)

    def resumed(self, phase: str, reason: Reason) -> Case[SpecT, StatusT]:
        """The user lets us go on, if we had been told to stop."""
        if not conditions.is_true(self.status.conditions, conditions.SUSPENDED):
            return self
        message = "spec.suspend is false: the work goes on"
        return self.judged(conditions.working(reason, message), phase=phase).told(Reason.RESUMED, message)
