"""S3Access: a user, its policy and its keys on a store, made and proved by real calls."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bucketops_api.names import lies_in_records
from bucketops_api.v1alpha1.common import (
    AssumeRole,
    BucketRef,
    CaBundle,
    Credentials,
    Model,
    NameRef,
    Rule,
    Status,
    StatusModel,
)
from bucketops_api.v1alpha1.kind import Column, Kind
from bucketops_api.v1alpha1.scalars import BucketName, Count, Duration, Endpoint, matches
from bucketops_api.v1alpha1.worker import Worker

Access = Literal["ReadOnly", "ReadWrite", "WriteOnly"]
Provider = Literal["MinIO", "AWS"]

UserName = Annotated[
    str,
    Field(min_length=3, max_length=64),
    matches(r"^[A-Za-z0-9][A-Za-z0-9+.@_-]*$", "a user's name is 3 to 64 of A-Z, a-z, 0-9, +.@_-, such as app-1"),
]
LiteralPrefix = Annotated[
    str,
    Field(max_length=512),
    matches(r"^[^*?$]*$", "a prefix is taken literally: leave out *, ? and $, which are patterns in a policy"),
]


class Admin(Model):
    """The server, and who may create users and policies there; `bucketops policy S3Access` prints the rights."""

    endpoint: Endpoint | None = Field(None, description="Of MinIO. Absent: AWS.")
    region: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    credentials: Credentials | None = Field(
        None,
        description="A Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On AWS, absent: the pod's own.",
    )
    assume_role: AssumeRole | None = None
    ca_bundle: CaBundle | None = None

    def bucket(self, bucket: str) -> BucketRef:
        """A bucket of this server, as this admin sees it."""
        return BucketRef(
            bucket=bucket,
            endpoint=self.endpoint,
            region=self.region,
            credentials=self.credentials,
            assume_role=self.assume_role,
            ca_bundle=self.ca_bundle,
        )


FurtherAction = Literal[
    "s3:GetBucketVersioning", "s3:GetObjectTagging", "s3:ListenBucketNotification", "s3:PutObjectTagging"
]


_UNOPENED = (
    "the prefix lies in .bucketops/, where the records of bucketops are: set records: true if this user is another "
    "bucketops resource's identity, or choose another prefix"
)


class Grant(Model):
    """What the user may do below a prefix of a bucket."""

    RULES = (
        Rule(
            "(has(self.records) && self.records) || !has(self.prefix) || !('/' + self.prefix).contains('/.bucketops/')",
            _UNOPENED,
        ),
    )
    bucket: BucketName
    prefix: LiteralPrefix = Field("", description="Only keys below it; taken as it is written, so end it with '/'.")
    access: Access = Field(description="ReadWrite: list, get, put, delete. ReadOnly: list, get. WriteOnly: put.")
    also: Annotated[list[FurtherAction], Field(max_length=8)] = Field(
        default_factory=list,
        description="Further actions, for programs that need them: an ExifPipeline does. s3:ListenBucketNotification "
        "and s3:GetBucketVersioning hold for the whole bucket, whatever the prefix: the user hears all of its keys.",
    )
    records: bool = Field(
        default=False,
        description="Also in the folders .bucketops/ at and below this prefix, which are denied otherwise: for the "
        "identity of another bucketops resource and nobody else, for whoever writes records there can forge them. "
        "Grants of one bucket that overlap say the same.",
    )

    @model_validator(mode="after")
    def _records_are_asked_for(self) -> Grant:
        if lies_in_records(self.prefix) and not self.records:
            raise ValueError(_UNOPENED)
        return self


BoundaryArn = Annotated[
    str,
    Field(min_length=20, max_length=2048),
    matches(
        r"^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\x21-\x7e]+$",
        "write the ARN of a managed policy, such as arn:aws:iam::123456789012:policy/boundary",
    ),
]
_OWN_SECRET = "credentialsSecret is the admin's own Secret: name another one, in which the user's key is put"  # noqa: S105
_BOUNDARY = "permissionsBoundary is for AWS: MinIO knows none; leave it out"
_MIXED = (
    "two grants of one bucket overlap, and only one has records: true: a policy cannot open .bucketops/ to one of them "
    "alone. Set records: true in both or in neither, or make two users"
)
_PROBE = "probeBucket has a grant: name a bucket without one, on which every call must be refused, or leave it out"
_MINIO_ADMIN = "MinIO needs admin.endpoint and admin.credentials: name the server and who may create users"


class AccessSpec(Model):
    """Who may do what on which bucket; nothing else is granted."""

    RULES = (
        Rule(
            "self.provider != 'MinIO' || (has(self.admin.endpoint) && has(self.admin.credentials))",
            _MINIO_ADMIN,
        ),
        Rule(
            "self.user == oldSelf.user && self.provider == oldSelf.provider",
            "user and provider cannot change: apply another resource for the other user, and delete this one",
        ),
        Rule(
            "self.credentialsSecret.name == oldSelf.credentialsSecret.name",
            "credentialsSecret cannot change: apply another resource with another user, and delete this one",
        ),
        Rule(
            "!has(self.admin.credentials) || self.admin.credentials.secretRef.name != self.credentialsSecret.name",
            _OWN_SECRET,
        ),
        Rule("self.provider == 'AWS' || !has(self.permissionsBoundary)", _BOUNDARY),
        Rule(
            "self.grants.all(a, self.grants.all(b, a.bucket != b.bucket || "
            "(has(a.records) && a.records) == (has(b.records) && b.records) || "
            "!(has(a.prefix) ? a.prefix : '').startsWith(has(b.prefix) ? b.prefix : '')))",
            _MIXED,
        ),
        Rule("!has(self.probeBucket) || self.grants.all(g, g.bucket != self.probeBucket)", _PROBE),
    )
    provider: Provider
    suspend: bool = Field(default=False, description="Touch nothing, repair nothing.")
    trigger: Annotated[str, Field(max_length=256)] = Field("", description="Any new string starts one check now.")
    admin: Admin
    user: UserName
    grants: Annotated[list[Grant], Field(min_length=1, max_length=16)]
    create_buckets: bool = Field(default=False, description="Make the buckets of the grants where they do not exist.")
    adopt: bool = Field(
        default=False,
        description="Take over a user of that name that exists already; otherwise such a user is never touched.",
    )
    credentials_secret: NameRef = Field(
        description="Made if absent, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. One that exists is used only if "
        "it says so itself, in its key bucketops.dev.given-for: 'S3Access NAMESPACE/NAME at ENDPOINT'."
    )
    permissions_boundary: BoundaryArn | None = Field(
        None, description="AWS: the managed policy that bounds the user. The chart's access.permissionsBoundary wins."
    )
    rotate: Annotated[str, Field(max_length=256)] = Field("", description="Any new string rotates the key.")
    key_overlap: Duration = Field("24h", description="How long a key stays valid after another has taken its place.")
    interval: Duration = Field("10m", description="How often user, policy and keys are compared with this resource.")
    probe_bucket: BucketName | None = Field(
        None,
        description="A bucket without a grant, on which every call must be refused. Absent: the first other one there.",
    )
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain",
        description="Delete: user, policy, keys and the Secret that was made go with this resource.",
    )
    worker: Worker = Field(default_factory=lambda: Worker(parallelism=1, shards=1, concurrency=4))

    @model_validator(mode="after")
    def _fields_fit(self) -> AccessSpec:
        if self.provider == "MinIO" and (self.admin.endpoint is None or self.admin.credentials is None):
            raise ValueError(_MINIO_ADMIN)
        if self.admin.credentials and self.admin.credentials.secret_ref.name == self.credentials_secret.name:
            raise ValueError(_OWN_SECRET)
        if self.provider == "MinIO" and self.permissions_boundary is not None:
            raise ValueError(_BOUNDARY)
        return self

    @model_validator(mode="after")
    def _grants_fit(self) -> AccessSpec:
        if any(_mixed(one, other) for one in self.grants for other in self.grants):
            raise ValueError(_MIXED)
        if self.probe_bucket in {grant.bucket for grant in self.grants}:
            raise ValueError(_PROBE)
        return self


def _mixed(inner: Grant, outer: Grant) -> bool:
    """Return whether one grant lies within another one and only one of them opens its records."""
    below = inner.bucket == outer.bucket and inner.prefix.startswith(outer.prefix)
    return below and inner.records != outer.records


Call = Literal["list", "get", "put", "delete", "multipart"]
_Answers = Annotated[dict[str, Annotated[str, Field(max_length=16)]], Field(max_length=8)]


class ProbedPlace(StatusModel):
    """Calls made as this user in one place: what was expected, and which HTTP status came."""

    bucket: Annotated[str, Field(max_length=63)] = Field(
        "", description="Empty: one without a grant, whose name is nobody's business here; the Job's log has it."
    )
    prefix: Annotated[str, Field(max_length=512)] = ""
    expected: _Answers = Field(default_factory=dict, description="By call: Allowed or Refused.")
    seen: _Answers = Field(default_factory=dict, description="By call: the HTTP status.")
    as_expected: bool = False


class RetiringKey(StatusModel):
    """A former key that still works."""

    access_key_id: Annotated[str, Field(max_length=128)]
    until: datetime


class AccessStatus(Status):
    """Status of a user."""

    policy: Annotated[str, Field(max_length=20_480)] = Field("", description="The exact policy document in force.")
    access_key_id: Annotated[str, Field(max_length=128)] = ""
    retiring_keys: Annotated[list[RetiringKey], Field(max_length=16)] = Field(default_factory=list)
    secret: Literal["", "Made", "Given"] = Field("", description="Whether the credentials Secret was made or found.")
    secret_name: Annotated[str, Field(max_length=253)] = Field(
        "", description="The credentials Secret that the last run was given."
    )
    secret_uids: Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=4)] = Field(
        default_factory=dict,
        description="By name, the uids of the Secrets that were made for this resource. No other one is ever replaced "
        "or deleted.",
    )
    access: Annotated[list[ProbedPlace], Field(max_length=40)] = Field(
        default_factory=list, description="The calls that were made as this user, and their answers."
    )
    verified_at: datetime | None = Field(None, description="When the access was last proved by real calls.")
    next_check_at: datetime | None = None
    repairs: Count = Field(0, description="Changes made by hand that were undone.")
    rotated: Annotated[str, Field(max_length=256)] = Field("", description="The value of rotate that is in force.")


S3ACCESS = Kind(
    name="S3Access",
    plural="s3accesses",
    short_name="s3acc",
    scratch="256Mi",
    spec=AccessSpec,
    status=AccessStatus,
    columns=(
        Column("Phase", "string", ".status.phase"),
        Column("User", "string", ".spec.user"),
        Column("Verified", "string", '.status.conditions[?(@.type=="AccessVerified")].status'),
        Column("Key", "string", ".status.accessKeyId", priority=1),
        Column("Repairs", "integer", ".status.repairs", priority=1),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
)
