"""S3Retention: remove old deployment folders, and keep as many as the rules say."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bucketops_api.v1alpha1.common import (
    BucketRef,
    Mode,
    Model,
    Progress,
    Rule,
    Scheduled,
    ScheduleStatus,
    Status,
    StatusModel,
)
from bucketops_api.v1alpha1.kind import Column, Kind
from bucketops_api.v1alpha1.scalars import Count, Duration, Glob, matches
from bucketops_api.v1alpha1.worker import SingleWorker

Pattern = Annotated[str, Field(max_length=256)]
ObjectName = Annotated[str, Field(max_length=512)]
Globs = Annotated[list[Glob], Field(max_length=64)]
Folders = Annotated[int, Field(ge=0, le=1_000_000)]
PlanHash = Annotated[
    str,
    Field(max_length=64),
    matches(r"^([0-9a-f]{64})?$", "write a whole planHash as it stands in the status: 64 characters of 0-9 and a-f"),
]

_GROUPS = ("(?P<time>", "(?P<version>")
_NAME_PATTERN = "with age: name write a namePattern with one group named time or version, such as ^deploy-(?P<time>.+)$"
_MARKER_KEY = "with age: marker write the markerKey: the object in each folder whose date counts"


class FolderRules(Model):
    """What is one deployment, and how old it is."""

    RULES = (
        Rule(
            "!has(self.age) || self.age != 'name' || (has(self.namePattern) && ("
            + " || ".join(f"self.namePattern.contains('{group}')" for group in _GROUPS)
            + "))",
            _NAME_PATTERN,
        ),
        Rule(
            "!has(self.age) || self.age != 'marker' || (has(self.markerKey) && self.markerKey != '')",
            _MARKER_KEY,
        ),
    )
    depth: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="How many path segments below the prefix make one deployment; objects above are never touched."
    )
    include: Globs = Field(
        default_factory=list,
        description="Globs on the folder's path below the prefix, or on its last segment. Empty: every folder.",
    )
    exclude: Globs = Field(default_factory=list, description="Folders that match are never touched and never counted.")
    group_by: Pattern = Field(
        "",
        description="A regular expression with a group, searched in the folder's path: the rules apply within each "
        "value of the group. Folders without a match are one group together.",
    )
    age: Literal["newest", "oldest", "name", "marker"] = Field(
        "newest", description="What dates a folder: its newest object, its oldest, its name, or one object in it."
    )
    name_pattern: Pattern = Field(
        "",
        description="For age: name; a regular expression with a named group time (ISO date or epoch) or version, "
        "searched in the folder's path.",
    )
    marker_key: ObjectName = Field("", description="For age: marker; the object in the folder whose date counts.")

    @field_validator("group_by", "name_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _complete(self) -> FolderRules:
        if self.age == "name" and len({"time", "version"} & set(re.compile(self.name_pattern).groupindex)) != 1:
            raise ValueError(_NAME_PATTERN)
        if self.age == "marker" and not self.marker_key:
            raise ValueError(_MARKER_KEY)
        if self.group_by and not re.compile(self.group_by).groups:
            raise ValueError(f"groupBy {self.group_by!r} has no group: write one, such as ^([^-]+)-")
        return self


class DeleteRules(Model):
    """Which folders may go."""

    older_than: Duration | None = Field(
        None, description="Strictly older. Absent: every folder beyond the keep rules may go, whatever its age."
    )


class KeepRules(Model):
    """What stays: a union, so that what any of these keeps stays."""

    last: Annotated[int, Field(ge=1, le=1_000_000)] = Field(5, description="The most recent ones.")
    daily: Folders = Field(0, description="The newest of each of so many days that have one.")
    weekly: Folders = Field(0, description="The newest of each of so many ISO weeks that have one.")
    monthly: Folders = Field(0, description="The newest of each of so many months that have one.")
    yearly: Folders = Field(0, description="The newest of each of so many years that have one.")
    names: Globs = Field(
        default_factory=list, description="Globs on the folder's path or on its last segment: always kept."
    )
    marker_key: ObjectName = Field(".keep", description="A folder holding this object is always kept. Empty: none is.")
    referenced_by: Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=16)] = Field(
        default_factory=list,
        description="Keys of objects below the prefix: a folder whose name stands in one of them is live and always "
        "kept. One that is absent, or names no folder, ends the run before anything is deleted.",
    )


class Guards(Model):
    """What no rule may do. Beyond one of the first two nothing at all is deleted, until the plan is approved."""

    max_delete_percent: Annotated[int, Field(ge=0, le=100)] = Field(60, description="Of the folders seen.")
    max_delete_folders: Annotated[int, Field(ge=0, le=1_000_000)] = Field(1000, description="In one run.")
    min_age: Duration = Field("1h", description="Nothing younger than this is ever deleted, whatever the rules say.")


class RetentionWorker(SingleWorker):
    """The one pod of a run, and how hard it works."""

    concurrency: Annotated[int, Field(ge=1, le=1024)] = Field(16, description="Requests in flight, at most.")


_PREFIX = "end the prefix with '/': a deployment is a path segment below it"
_RECORDS = "the prefix lies under .bucketops/, which holds the records and is never touched"


def _idle(glob: str, depth: int) -> str:
    """Say why a glob matches no folder at a depth; '' if it may match one. In brackets a slash is one of several."""
    if glob.startswith("/") or glob.endswith("/"):
        return f"{glob!r} matches no folder, for a path has no '/' at its ends: write {glob.strip('/') or '*'!r}"
    segments = re.sub(r"\[[^]]*\]", "", glob).count("/") + 1
    if segments > depth:
        return (
            f"{glob!r} matches no folder, for it has {segments} segments and folders.depth is {depth}: write the "
            "folder's path below the prefix, or its last segment"
        )
    return ""


class RetentionSpec(Scheduled):
    """Which deployment folders go, which stay, and when that is decided."""

    RULES = (
        Rule(
            "!has(self.bucket.prefix) || self.bucket.prefix == '' || self.bucket.prefix.endsWith('/')",
            _PREFIX,
        ),
    )
    mode: Mode = Field("Plan", description="Plan deletes nothing and says what would go; Apply does the work.")
    bucket: BucketRef
    folders: FolderRules = Field(default_factory=FolderRules)
    delete: DeleteRules = Field(default_factory=DeleteRules)
    keep: KeepRules = Field(default_factory=KeepRules)
    guards: Guards = Field(default_factory=Guards)
    approve_plan: PlanHash = Field(
        "", description="A planHash: the folders of that plan, as they were then, no longer count for the guards."
    )
    versions: Literal["Current", "All"] = Field(
        "Current",
        description="Of a versioned bucket. Current adds delete markers and frees no space; All removes every version.",
    )
    worker: RetentionWorker = Field(default_factory=RetentionWorker)

    @model_validator(mode="after")
    def _prefix_is_a_folder(self) -> RetentionSpec:
        prefix = self.bucket.prefix
        if prefix and not prefix.endswith("/"):
            raise ValueError(_PREFIX)
        if f"/{prefix}".find("/.bucketops/") >= 0:
            raise ValueError(_RECORDS)
        return self

    @model_validator(mode="after")
    def _names_can_match(self) -> RetentionSpec:
        """A rule that protects nothing looks like one that does, until the folder is gone."""
        rules = {
            "folders.include": self.folders.include,
            "folders.exclude": self.folders.exclude,
            "keep.names": self.keep.names,
        }
        for field, globs in rules.items():
            for wrong in filter(None, (_idle(glob, self.folders.depth) for glob in globs)):
                raise ValueError(f"{field}: {wrong}")
        for field, key in (("keep.markerKey", self.keep.marker_key), ("folders.markerKey", self.folders.marker_key)):
            if key.startswith("/"):
                raise ValueError(f"{field}: {key!r} is in no folder: write it without the '/' at its beginning")
        return self


class RetentionProgress(Progress):
    """Progress of the last run."""

    folders_seen: Count = Field(0, description="In scope, holding at least one object.")
    folders_kept: Count = 0
    folders_empty: Count = Field(
        0, description="Of those seen, how many hold no content: empty objects alone, say. No keep rule counts them."
    )
    folders_deleted: Count = 0
    folders_skipped: Count = Field(0, description="Received an object after the plan, so they stay.")
    folders_failed: Count = Field(0, description="Objects of theirs could not be deleted; see samples.")
    objects_deleted: Count = 0
    objects_failed: Count = 0
    bytes_freed: Count = Field(0, description="0 on a versioned bucket with versions: Current.")


class Removal(StatusModel):
    """What the last plan says is to go."""

    folders: Count = 0
    objects: Count = 0
    bytes: Count = 0


class RetentionStatus(Status):
    """Status of a retention."""

    progress: RetentionProgress = Field(default_factory=RetentionProgress)
    removal: Removal = Field(default_factory=Removal)
    report: Annotated[str, Field(max_length=2048)] = Field(
        "", description="Key of the last report: a line per folder with age, objects, bytes, verdict and rule."
    )
    first_run: Count = Field(0, description="Number of the first run of the work that is open; 0: none is.")
    scheduled: ScheduleStatus | None = Field(None, description="Present while the spec has a schedule.")


S3RETENTION = Kind(
    name="S3Retention",
    plural="s3retentions",
    short_name="s3ret",
    scratch="256Mi",
    spec=RetentionSpec,
    status=RetentionStatus,
    columns=(
        Column("Phase", "string", ".status.phase"),
        Column("Mode", "string", ".spec.mode"),
        Column("Schedule", "string", ".spec.schedule"),
        Column("Seen", "integer", ".status.progress.foldersSeen"),
        Column("Kept", "integer", ".status.progress.foldersKept"),
        Column("Deleted", "integer", ".status.progress.foldersDeleted"),
        Column("Objects", "integer", ".status.progress.objectsDeleted", priority=1),
        Column("Freed", "integer", ".status.progress.bytesFreed", priority=1),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
)
