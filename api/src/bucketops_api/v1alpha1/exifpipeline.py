"""ExifPipeline: pictures that arrive in one bucket are saved to another one, stripped of all metadata."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bucketops_api.v1alpha1.common import (
    BucketRef,
    Credentials,
    Model,
    Progress,
    Rule,
    ScheduleHistory,
    ScheduleStatus,
    Status,
    StatusModel,
)
from bucketops_api.v1alpha1.kind import Column, Kind
from bucketops_api.v1alpha1.scalars import Count, Duration, Quantity, TimeZone, matches
from bucketops_api.v1alpha1.worker import Worker

MOST_REPLICAS = 100
Extension = Annotated[
    str,
    Field(min_length=2, max_length=32),
    matches(r"^\.[^/]+$", "write an extension with its dot, such as .jpg"),
]
QueueUrl = Annotated[
    str,
    Field(max_length=1024),
    matches(
        r"^https?://[^/ ]+/[^ ]+$", "write the queue's URL, such as https://sqs.eu-west-1.amazonaws.com/123456789012/q"
    ),
]
SweepSchedule = Annotated[
    str,
    Field(max_length=128),
    matches(
        r"^(|@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([-0-9A-Za-z*/,?]+ +){4}[-0-9A-Za-z*/,?]+)$",
        "write a cron expression of five fields, such as */5 * * * *, or @hourly; or nothing",
    ),
]


class MinioEvents(Model):
    """MinIO's ListenBucketNotification: every replica hears all events and does its share of the keys."""


class SqsEvents(Model):
    """S3's event notifications in a queue: a replica does what it receives."""

    queue_url: QueueUrl
    region: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Absent: that of the source."
    )


class WebhookEvents(Credentials):
    """Event JSON of S3 or MinIO, posted to port 8080 of the Service `<name>-events`.

    The Secret has the key `token`; a request bears it as `Authorization: Bearer <token>`.
    """

    tls: Credentials | None = Field(
        None, description="A Secret of type kubernetes.io/tls for HTTPS, read again when it changes. Absent: HTTP."
    )


class Events(Model):
    """Where events come from: at most one."""

    RULES = (
        Rule(
            " + ".join(f"(has(self.{source}) ? 1 : 0)" for source in ("minio", "sqs", "webhook")) + " == 1",
            "name one of minio, sqs and webhook; leave events out to rely on the sweep alone",
        ),
    )
    minio: MinioEvents | None = None
    sqs: SqsEvents | None = None
    webhook: WebhookEvents | None = None

    @model_validator(mode="after")
    def _one(self) -> Events:
        if sum(given is not None for given in (self.minio, self.sqs, self.webhook)) != 1:
            raise ValueError(self.RULES[0].message)
        return self


class Sweep(Model):
    """A walk over both listings that does what the events missed."""

    schedule: SweepSchedule = Field(
        "*/5 * * * *", description="A cron expression; empty: no sweep but that at the start and those by trigger."
    )
    on_start: bool = Field(
        default=True, description="Do everything that is already in the source, in shards, when the spec is new."
    )
    time_zone: TimeZone = "Etc/UTC"
    jitter: Duration = Field("0s", description="A scheduled sweep begins up to so much later, by chance.")
    history: ScheduleHistory = Field(default_factory=ScheduleHistory)
    verify_every: Duration = Field(
        "24h",
        description="A scheduled sweep looks into what has changed since the one before; so often it looks into all.",
    )


class Match(Model):
    """Which keys are pictures; all others are left alone."""

    extensions: Annotated[list[Extension], Field(min_length=1, max_length=32)] = Field(
        default_factory=lambda: [".jpg"], description="Of the key's end."
    )
    case_sensitive: bool = Field(default=True, description="false: .JPG is .jpg too.")


class Strip(Model):
    """What becomes of what belongs to the look of a picture; all other metadata goes, always."""

    orientation: Literal["Keep", "Drop", "Rotate"] = Field(
        "Keep",
        description="Keep: a fresh EXIF with that tag alone. Rotate: the picture itself is turned, where "
        "that is lossless; else Keep.",
    )
    icc_profile: Literal["Keep", "Drop"] = Field("Keep", description="Without it, colours beyond sRGB look dull.")
    hdr_gain_map: Literal["Keep", "Drop"] = Field(
        "Drop",
        description="Keep: the second picture of an Ultra HDR file is stripped too, and stays. Drop: the picture stays "
        "as its standard range.",
    )


class PipelineGuards(Model):
    """What no event and no sweep may do."""

    max_delete_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        50, description="Of the pictures in the destination: above it a sweep deletes nothing, and says so."
    )


class PipelineLimits(Model):
    """What is refused."""

    max_object_bytes: Quantity = Field("512Mi", description="Larger objects are quarantined or skipped unread.")


class PipelineWorker(Worker):
    """The pods of a sweep, and how hard each pod works."""

    parallelism: Annotated[int, Field(ge=1, le=1000)] = Field(2, description="Pods of the sweep at the start, at once.")
    concurrency: Annotated[int, Field(ge=1, le=1024)] = Field(16, description="Pictures in hand per pod, at most.")


def _within(one: str, other: str) -> str:
    """In CEL: both places are the same, or one lies within the other."""

    def text(place: str, field: str) -> str:
        return f"(has(self.{place}.{field}) ? self.{place}.{field} : '')"

    return (
        f"{text(one, 'endpoint')} == {text(other, 'endpoint')} && self.{one}.bucket == self.{other}.bucket && "
        f"({text(one, 'prefix')}.startsWith({text(other, 'prefix')}) || "
        f"{text(other, 'prefix')}.startsWith({text(one, 'prefix')}))"
    )


def overlap(one: BucketRef, other: BucketRef) -> bool:
    """The same in Python."""
    same = (one.endpoint, one.bucket) == (other.endpoint, other.bucket)
    return same and (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))


_LOOP = (
    "source and destination overlap, so that each clean picture would be cleaned again: choose another bucket, or "
    "prefixes of which neither begins with the other"
)
_QUARANTINE = "onNotJpeg: Quarantine needs a place: write quarantine with a bucket, or onNotJpeg: Skip"
_QUARANTINE_PLACE = "quarantine overlaps the source or the destination: choose another bucket or prefix"
_RECORDS = "a prefix lies under .bucketops/, which holds the records: choose another"


def _separate(place: str) -> str:
    return f"!(has(self.quarantine) && {_within('quarantine', place)})"


class PipelineSpec(Model):
    """Which pictures to strip, where they come from and where they go."""

    RULES = (
        Rule(f"!({_within('source', 'destination')})", _LOOP),
        Rule("(has(self.onNotJpeg) && self.onNotJpeg == 'Skip') || has(self.quarantine)", _QUARANTINE),
        Rule(f"{_separate('source')} && {_separate('destination')}", _QUARANTINE_PLACE),
    )
    source: BucketRef
    destination: BucketRef = Field(description="A picture has the same key below its prefix.")
    events: Events | None = Field(None, description="Absent: only sweeps run.")
    sweep: Sweep = Field(default_factory=Sweep)
    match: Match = Field(default_factory=Match)
    strip: Strip = Field(default_factory=Strip)
    on_not_jpeg: Literal["Quarantine", "Skip"] = Field(
        "Quarantine", description="What cannot be made clean is never copied; Quarantine writes down why."
    )
    quarantine: BucketRef | None = Field(
        None, description="Under the picture's key below its prefix: a JSON document with the reason."
    )
    on_conflict: Literal["Keep", "Overwrite"] = Field(
        "Keep", description="When the destination holds an object that no pipeline made."
    )
    on_source_delete: Literal["Keep", "Delete"] = Field(
        "Keep", description="Delete: what this pipeline made goes once the source's key answers 404, at the next sweep."
    )
    guards: PipelineGuards = Field(default_factory=PipelineGuards)
    limits: PipelineLimits = Field(default_factory=PipelineLimits)
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = Field(
        2, description="Pods that hear events; keys are shared among them."
    )
    worker: PipelineWorker = Field(default_factory=PipelineWorker)
    suspend: bool = Field(default=False, description="Stop at a safe point and start nothing.")
    trigger: Annotated[str, Field(max_length=256)] = Field("", description="Any new string starts one sweep now.")

    @model_validator(mode="after")
    def _places(self) -> PipelineSpec:
        if overlap(self.source, self.destination):
            raise ValueError(_LOOP)
        if self.on_not_jpeg == "Quarantine" and self.quarantine is None:
            raise ValueError(_QUARANTINE)
        if self.quarantine and (overlap(self.quarantine, self.source) or overlap(self.quarantine, self.destination)):
            raise ValueError(_QUARANTINE_PLACE)
        if any(f"/{ref.prefix}".find("/.bucketops/") >= 0 for ref in (self.source, self.destination)):
            raise ValueError(_RECORDS)
        return self

    @property
    def schedule(self) -> str | None:
        """Of the sweep, under the names that all scheduled kinds have."""
        return self.sweep.schedule or None

    @property
    def time_zone(self) -> str:
        """The same."""
        return self.sweep.time_zone

    @property
    def jitter(self) -> str:
        """The same."""
        return self.sweep.jitter

    @property
    def history(self) -> ScheduleHistory:
        """The same."""
        return self.sweep.history


class PipelineProgress(Progress):
    """Progress of the sweep under way, and what has been done since the resource was made."""

    processed: Count = Field(0, description="Clean pictures written.")
    skipped: Count = Field(0, description="Pictures that cannot be made clean, with onNotJpeg: Skip.")
    quarantined: Count = Field(0, description="Pictures that cannot be made clean, with onNotJpeg: Quarantine.")
    conflicts: Count = Field(0, description="Pictures whose place holds an object that no pipeline made.")
    failed: Count = Field(0, description="Tries that failed for another reason; the next sweep tries again.")
    unwritten: Count = Field(0, description="Of these, refusals that could not be written down.")
    dropped: Count = Field(0, description="Events for which there was no room; a sweep makes them good.")
    gaps: Count = Field(0, description="How often a pod came to hear everything again, after it had not.")
    repaired: Count = Field(
        0, description="Clean pictures that sweeps wrote or deleted after the first, though events are heard."
    )
    deleted: Count = Field(0, description="Clean pictures deleted after their source.")
    pending: Count = Field(0, description="Events heard and not yet done.")
    oldest_pending_seconds: Count = 0
    latency_p50_ms: Annotated[int, Field(ge=0, le=2**53, alias="latencyP50Ms")] = Field(
        0, description="From the event to the clean picture, over the last minutes."
    )
    latency_p99_ms: Annotated[int, Field(ge=0, le=2**53, alias="latencyP99Ms")] = 0


class LastSweep(StatusModel):
    """What the last sweep found."""

    completed_at: datetime
    repaired: Count = Field(0, description="Clean pictures that it wrote or deleted.")
    pictures: Count = Field(0, description="Pictures in the source.")
    failed: Count = 0


class Listeners(StatusModel):
    """The pods that hear events."""

    wanted: Count = 0
    listening: Count = 0


class CountedReplica(StatusModel):
    """What is already counted of one pod."""

    pod: Annotated[str, Field(max_length=253)]
    incarnation: Annotated[str, Field(max_length=128)] = ""
    counts: Annotated[dict[str, Count], Field(max_length=16)] = Field(default_factory=dict)
    seen_at: datetime | None = Field(None, description="When it was last known to hear everything.")


class PipelineStatus(Status):
    """Status of a pipeline."""

    progress: PipelineProgress = Field(default_factory=PipelineProgress)
    last_sweep: LastSweep | None = None
    listeners: Listeners = Field(default_factory=Listeners)
    counted: Annotated[list[CountedReplica], Field(max_length=MOST_REPLICAS)] = Field(
        default_factory=list, description="The operator's memory: pods count anew when they begin anew."
    )
    heard_at: datetime | None = Field(None, description="When the pods that hear events were last asked.")
    sweep_overdue_at: datetime | None = Field(
        None,
        description="When three sweeps of the schedule will have been due since the last one that came to its end.",
    )
    missed_since: datetime | None = Field(
        None, description="Since when events may have been missed; a sweep of what has changed since is about to begin."
    )
    sweep_since: datetime | None = Field(
        None, description="The sweep under way looks into what has changed since then; absent: into everything."
    )
    first_run: Count = Field(0, description="Number of the first run of the work that is open; 0: none is.")
    scheduled: ScheduleStatus | None = Field(None, description="Present while the spec has a schedule.")


EXIFPIPELINE = Kind(
    name="ExifPipeline",
    plural="exifpipelines",
    short_name="exif",
    spec=PipelineSpec,
    status=PipelineStatus,
    columns=(
        Column("Phase", "string", ".status.phase"),
        Column("Listening", "integer", ".status.listeners.listening"),
        Column("Processed", "integer", ".status.progress.processed"),
        Column("Quarantined", "integer", ".status.progress.quarantined"),
        Column("Pending", "integer", ".status.progress.pending"),
        Column("P99 ms", "integer", ".status.progress.latencyP99Ms"),
        Column("Skipped", "integer", ".status.progress.skipped", priority=1),
        Column("Swept", "date", ".status.lastSweep.completedAt", priority=1),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
)
