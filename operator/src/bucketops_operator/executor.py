"""The protocol between the reconcile loop and the place where runs happen: a cluster, or this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from bucketops_api.contract import RunResult
from bucketops_api.v1alpha1.common import Status

Manifest = Mapping[str, Any]
"""A Kubernetes object as data."""


@dataclass(frozen=True)
class ObservedReplica:
    """A pod that hears events, as it is now. `incarnation` changes whenever its counts begin anew."""

    name: str
    incarnation: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    seen_at: datetime | None = None
    """When it was asked for its counts; None: now."""
    why: str = ""
    """For people: how it ended the last time, if that was not well."""


@dataclass(frozen=True)
class Resource:
    """A bucketops resource as it stands in the API server (or in a file)."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    spec: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    resource_version: str = ""
    """Which state this is: a status is not written over a newer one. Empty: not known."""
    deleting: bool = False
    """It is being deleted, and waits for us."""
    held: bool = False
    """Our finalizer stands on it."""
    origin: Origin | None = None
    """The resource that `spec.rollbackOf` names, if there is one."""
    replicas: Sequence[ObservedReplica] = ()
    """The pods that hear its events, of a kind that has them."""


@dataclass(frozen=True)
class Origin:
    """A resource that another one is about, and how many of its pods have not ended."""

    resource: Resource
    pods: int = 0


@dataclass(frozen=True)
class ObservedRun:
    """A run's Job and pods, as they are now.

    `pods` counts the pods that exist and have not ended: the next phase starts only at zero. `result` is the total
    over the shards that have succeeded (of each the last attempt); `failure` the first failed one's, when the Job
    failed. `live` are the counts that the running pods' metrics show. `waiting` says, for people, what is in the way of
    a run (an image that cannot be pulled, no node that fits, a shard that fails and is tried again); empty when nothing
    is. `stranded`: all its pods are being deleted, not by us, and its Job keeps them until it has made others. `lost`
    counts shards that have succeeded and whose result cannot be read: their pods are gone, or said nothing.
    """

    run: str
    phase: str
    state: Literal["Running", "Succeeded", "Failed"]
    shards: int
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    pods: int = 0
    suspended: bool = False
    result: RunResult = field(default_factory=RunResult)
    failure: RunResult | None = None
    live: Mapping[str, int] = field(default_factory=dict)
    waiting: str = ""
    stranded: bool = False
    lost: int = 0
    unknown: str = ""
    """Why results are lost, in words."""
    run_spec: str = ""
    """Of a schedule's Job, the name of the RunSpec that it works on; others have one of their own name."""
    started: datetime | None = None
    ended: datetime | None = None
    uid: str = ""
    """Of the Job: what is deleted is the one that was seen."""
    staged: bool = False
    """Whether the executor still has the key that it staged for this run."""


class ObjectName(NamedTuple):
    """An object in the resource's namespace."""

    kind: Literal["CronJob", "ConfigMap", "StatefulSet", "Service"]
    name: str


@dataclass(frozen=True)
class Event:
    """One transition, told to people once."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True)
class SecretChange:
    """What happens to one Secret; no Secret is ever read.

    Make: with a fresh key pair, where it does not exist. MakeEmpty: the same without a key, which a Job puts in. Stage:
    with a fresh pair that is remembered until Promote puts it in place of what `name` holds. Drop: delete it.
    """

    action: Literal["Make", "MakeEmpty", "Stage", "Promote", "Drop"]
    name: str
    staged: str = ""
    uid: str = ""
    """Of the Secret that Promote replaces and Drop deletes: any other one of that name stays."""
    mark: str = ""
    """What a Secret that is made says of whom it is for."""


class Executor(Protocol):
    """Where runs happen. Every method may be repeated after a crash."""

    def get(self, kind: str, namespace: str, name: str) -> Resource | None:
        """Another resource as it is now, with its status; None where there is none."""

    def observe(self, owner: Resource) -> Sequence[ObservedRun]:
        """The runs of a resource that exist now, in the order of their numbers."""

    def replicas(self, owner: Resource) -> Sequence[ObservedReplica]:
        """The pods that hear a resource's events, with what each of them has counted."""

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        """Create what is absent; of what exists change mutable ConfigMaps, a Job's suspend and parallelism.

        CronJobs, StatefulSets and Services are changed to what they should be.

        A Job without a template only changes one that exists.
        """

    def remove(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Delete these runs' Jobs (with their pods) and ConfigMaps; absent ones are fine."""

    def let_go(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Delete these stranded runs' Jobs if the namespace is being deleted: they would hold it for ever."""

    def discard(self, owner: Resource, objects: Collection[ObjectName]) -> None:
        """Delete these, if they are the owner's, with all that they own; absent ones are fine."""

    def change_secret(self, owner: Resource, change: SecretChange) -> str:
        """Make, replace or delete a credentials Secret; the uid of the one that was made, if one was."""

    def hold(self, owner: Resource) -> Resource:
        """Put our finalizer on a resource: it does not go before `release`. Answers its new state."""

    def release(self, owner: Resource) -> None:
        """Take our finalizer away."""

    def write_status(self, owner: Resource, status: Status) -> None:
        """Write the whole status at once."""

    def emit(self, owner: Resource, events: Iterable[Event]) -> None:
        """Tell people."""
