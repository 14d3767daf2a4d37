"""What a kind's phase machine answers: the world as it should be now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bucketops_api.v1alpha1.common import Status
from bucketops_operator.executor import Event, Manifest, ObjectName, SecretChange


@dataclass(frozen=True)
class Desired:
    """The objects of the current run, the runs to keep, the status, and when to look again at the latest."""

    status: Status
    objects: Sequence[Manifest] = ()
    keep: frozenset[str] = frozenset()
    events: Sequence[Event] = ()
    requeue: timedelta | None = None
    discard: Sequence[ObjectName] = ()
    """What is to exist no longer."""
    secrets: Sequence[SecretChange] = ()
    """Carried out in this order before the objects are applied."""
    held: bool = False
    """Whether a finalizer keeps the resource until what it made is undone."""
