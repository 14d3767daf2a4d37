"""What every kind has in common: buckets, workers, conditions, progress."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from bucketops_api.v1alpha1.scalars import (
    BucketName,
    Count,
    Duration,
    Endpoint,
    Key,
    Name,
    Prefix,
    Schedule,
    Text,
    TimeZone,
)

Mode = Literal["Plan", "Apply"]
ConditionStatus = Literal["True", "False", "Unknown"]


class Rule(NamedTuple):
    """A CEL rule on an object, with the message that says what to write instead."""

    expression: str
    message: str


class Model(BaseModel):
    """A part of a spec: camelCase on the wire, immutable, unknown keys refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )
    RULES: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core))
        if cls.RULES:
            schema["x-kubernetes-validations"] = [{"rule": r.expression, "message": r.message} for r in cls.RULES]
        return schema


class StatusModel(BaseModel):
    """A part of a status: unknown keys of a newer release are dropped."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", defer_build=True)


class NameRef(Model):
    """The name of a Secret or ConfigMap in the resource's namespace."""

    name: Name


class KeyRef(NameRef):
    """One key of a Secret or ConfigMap."""

    key: Key = Field("ca.crt", description="The key that holds the value.")


class Credentials(Model):
    """Where secrets are read by the worker; the operator reads none."""

    secret_ref: NameRef = Field(description="A Secret in this namespace; the kubelet mounts it into the worker.")


class CaBundle(Model):
    """A certificate authority in PEM form."""

    RULES = (Rule("has(self.configMapRef) != has(self.secretRef)", "name one of configMapRef and secretRef"),)
    config_map_ref: KeyRef | None = None
    secret_ref: KeyRef | None = None


class AssumeRole(Model):
    """A role that the worker assumes by STS before it calls the bucket."""

    role_arn: Annotated[str, Field(min_length=20, max_length=2048)]
    external_id: Text | None = None


class Encryption(Model):
    """How written objects are encrypted at rest."""

    RULES = (Rule("self.type == 'SSE-KMS' || !has(self.kmsKeyId)", "kmsKeyId goes with type: SSE-KMS"),)
    type: Literal["None", "SSE-S3", "SSE-KMS"] = "None"
    kms_key_id: Text | None = None


class BucketRef(Model):
    """A bucket, or a part of one below a prefix."""

    bucket: BucketName
    prefix: Prefix = Field("", description="Only keys below it are seen; taken as it is written, so end it with '/'.")
    endpoint: Endpoint | None = Field(None, description="Absent: AWS.")
    region: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    credentials: Credentials | None = Field(
        None,
        description="A Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and optionally AWS_SESSION_TOKEN. "
        "Absent: the pod's own identity (IRSA, workload identity, instance role).",
    )
    assume_role: AssumeRole | None = None
    ca_bundle: CaBundle | None = None
    request_payer: bool = Field(default=False, description="The requester pays for calls to this bucket.")
    storage_class: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Of written objects. Absent: a copy keeps its original's, others get the server's default."
    )
    encryption: Encryption = Field(default_factory=Encryption)


class Filter(Model):
    """Globs on the key below the prefix: `*` is any run of characters, `/` included; `?` one; `[…]` a set."""

    include: Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=64)] = Field(
        default_factory=list, description="Empty: everything."
    )
    exclude: Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=64)] = Field(
        default_factory=list, description="What matches is left out, whatever include says."
    )


class ScheduleHistory(Model):
    """How many ended runs of a schedule stay to be looked at."""

    succeeded: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Jobs that went well.")
    failed: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Jobs that failed.")


class Scheduled(Model):
    """The part of a spec that says when: by a schedule, or once now."""

    schedule: Schedule | None = Field(
        None,
        description="A cron expression such as 0 3 * * * or @daily; runs never overlap. Absent: one run now.",
    )
    time_zone: TimeZone = Field("Etc/UTC", description="In which the schedule and calendar days are read.")
    jitter: Duration = Field("0s", description="A scheduled run begins up to so much later, by chance.")
    history: ScheduleHistory = Field(default_factory=ScheduleHistory)
    suspend: bool = Field(default=False, description="Stop at a safe point, start nothing, and keep all progress.")
    trigger: Annotated[str, Field(max_length=256)] = Field(
        "", description="Any new string starts one run now, beside the schedule but never at once with it."
    )


class Condition(StatusModel):
    """As `metav1.Condition`; the types follow kstatus."""

    type: Annotated[str, Field(max_length=64)]
    status: ConditionStatus
    reason: Annotated[str, Field(max_length=128)]
    message: Annotated[str, Field(max_length=4096)] = ""
    last_transition_time: datetime
    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0


class Run(StatusModel):
    """One Job of the resource."""

    id: Annotated[str, Field(max_length=63)]
    phase: Annotated[str, Field(max_length=32)]
    started_at: datetime
    completed_at: datetime | None = None
    result: Literal["Running", "Succeeded", "Failed"] = "Running"
    image: Annotated[str, Field(max_length=512)] = ""
    generation: Annotated[int, Field(ge=0, le=2**53)] = Field(0, description="Of the spec that the run works on.")
    changed: Count = Field(0, description="Objects and rows that this run changed.")
    pending: Count = Field(0, description="Objects and rows left for another pass.")


class Progress(StatusModel):
    """How far the work is. `percent` never falls."""

    percent: Annotated[int, Field(ge=0, le=100)] = 0
    objects_total: Count = 0
    objects_done: Count = 0
    bytes_done: Count = 0
    objects_per_second: Count = 0
    eta_seconds: Count | None = None
    updated_at: datetime | None = Field(None, description="When these numbers were read.")

    @property
    def reached(self) -> int:
        """Objects that are done, or half done where a kind knows of such."""
        return self.objects_done


class Sample(StatusModel):
    """One object or row that did not end well, for people to look at."""

    key: Annotated[str, Field(max_length=1024)]
    outcome: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1024)] = ""


class Shard(StatusModel):
    """Counts of the current run's shards."""

    total: Count = 0
    active: Count = 0
    succeeded: Count = 0
    failed: Count = 0


class ScheduleStatus(StatusModel):
    """What has become of a schedule."""

    runs: Annotated[list[Run], Field(max_length=10)] = Field(
        default_factory=list, description="The last runs that the schedule started."
    )
    oldest_generation: Annotated[int, Field(ge=0, le=2**53)] = Field(
        0, description="Of the specs that are still kept for runs of the schedule."
    )


class Status(StatusModel):
    """What every kind's status has."""

    observed_generation: Annotated[int, Field(ge=-1, le=2**53)] = Field(-1, description="-1: not seen yet.")
    phase: Annotated[str, Field(max_length=32)] = Field("", description="A summary for people; no program reads it.")
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)
    runs: Annotated[list[Run], Field(max_length=10)] = Field(default_factory=list)
    samples: Annotated[list[Sample], Field(max_length=20)] = Field(default_factory=list)
    shards: Shard = Field(default_factory=Shard)
    records: Annotated[str, Field(max_length=2048)] = Field("", description="Where the journal and the report lie.")
    capabilities: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = Field(
        default_factory=dict, description="What the server can do, and the mode in force."
    )
    plan_hash: Annotated[str, Field(max_length=64)] = ""
    spec_digest: Annotated[str, Field(max_length=128)] = Field("", description="Of the spec that the run works on.")
    first_run: Count = Field(1, description="Number of the first run of this work.")
    last_trigger: Annotated[str, Field(max_length=256)] = ""
