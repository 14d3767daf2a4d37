"""S3Migration: move the objects of a legacy bucket and rewrite their paths in a live PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from bucketops_api.v1alpha1.common import (
    BucketRef,
    CaBundle,
    Credentials,
    Filter,
    Mode,
    Model,
    Progress,
    Rule,
    Status,
    StatusModel,
)
from bucketops_api.v1alpha1.kind import Column, Kind
from bucketops_api.v1alpha1.scalars import Count, Duration, Identifier, Name, Schema, matches
from bucketops_api.v1alpha1.worker import Worker

_PLACEHOLDER = r"\{key(:relative)?(:url)?\}"
_LITERAL = r"([^{}\x00]|\{\{|\}\})*"
"""Text beside the key, in which a brace is written twice."""
Format = Annotated[
    str,
    Field(max_length=1024),
    matches(
        rf"^([^{{}}]|\{{\{{|\}}\}}|{_PLACEHOLDER})*$",
        "braces hold the key and nothing else: write {key}, {key:url}, {key:relative} or {key:relative:url}, and a "
        "brace that stands in the path itself twice, as {{ or }}",
    ),
    matches(
        rf"^{_LITERAL}{_PLACEHOLDER}{_LITERAL}$",
        "write the key once, as {key}, {key:url}, {key:relative} or {key:relative:url}, such as "
        "https://legacy-url/{key}; {{key}} stands for the text {key} itself",
    ),
]
_MOST_KEY_COLUMNS = 32
"""Of an index: https://www.postgresql.org/docs/current/limits.html."""


def _key_columns(value: Any) -> Any:  # noqa: ANN401 - whatever a user wrote
    """Check what no structural schema can: text, or a list of different texts."""
    names = [value] if isinstance(value, str) else value
    well = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not well or not 0 < len(set(names)) == len(names) <= _MOST_KEY_COLUMNS:
        raise ValueError(
            "write the column of the primary key, such as id, or a list of different columns where it is composite: "
            "[id, created]"
        )
    return value


KeyColumns = Annotated[
    Identifier | list[Identifier],
    BeforeValidator(_key_columns),
    Schema(
        (
            ("x-kubernetes-preserve-unknown-fields", True),
            *(("minLength", 1), ("maxLength", 63), ("minItems", 1), ("maxItems", _MOST_KEY_COLUMNS)),
            ("maxProperties", 0),
        )
    ),
]
"""Text or a list. No structural schema has two types, so the API server checks bounds alone and the models the rest."""


class Reference(Model):
    """A column that names objects."""

    schema_: Identifier = Field("public", alias="schema")
    table: Identifier
    key: KeyColumns = Field(
        "id",
        description="The primary key's column, of any comparable type; a list of columns where it is composite, such "
        "as [id, created].",
    )
    column: Identifier
    format: Format = Field(
        "{key}",
        description="How the key is written in the column: {key} is the whole key, {key:relative} what stands below "
        "the prefix, and {key:url} and {key:relative:url} the same in percent-encoding. A brace of the path itself is "
        "written twice: {{ or }}.",
    )
    new_format: Format | None = Field(
        None,
        description="How the new key is written. Absent: as format. Where both are the same and hold {key:relative}, "
        "rows name either place and stay as they are.",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def written_format(self) -> str:
        """The format of rewritten values."""
        return self.new_format or self.format


class Database(Model):
    """The live PostgreSQL whose rows name the objects."""

    credentials: Credentials = Field(
        description="A Secret with DATABASE_URL or uri, or PG* variables, or username, password, host, port, dbname.",
    )
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        None,
        description="Absent: what the Secret says, else verify-full where a CA is named, else prefer. One that is "
        "weaker than the Secret's is refused.",
    )
    ca_bundle: CaBundle | None = None
    references: Annotated[list[Reference], Field(min_length=1, max_length=16)]
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = Field(1000, description="Objects and rows per chunk.")
    lock_timeout: Duration = Field("500ms", description="How long an UPDATE waits for a row the application holds.")
    max_replication_lag: Duration | None = Field(None, description="Pause while a replica is further behind.")


class Cleanup(Model):
    """What becomes of the legacy objects."""

    policy: Literal["Delete", "Retain"] = "Retain"
    grace: Duration = Field("24h", description="After the last legacy write seen; caches and replicas run out first.")
    max_orphan_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        100,
        description="Nothing is deleted while more of the moved objects than this, in percent, have no row that names "
        "them.",
    )


def overlaps(source: BucketRef, destination: BucketRef) -> bool:
    """Whether one of both places lies within the other."""
    same = (source.endpoint, source.bucket) == (destination.endpoint, destination.bucket)
    return same and (source.prefix.startswith(destination.prefix) or destination.prefix.startswith(source.prefix))


def _or_empty(field: str) -> str:
    return f"(has(self.{field}) ? self.{field} : '')"


_OVERLAP = "source and destination overlap: choose another bucket, or prefixes of which neither contains the other"


class _Control(Model):
    """Whether, when and how far."""

    mode: Mode = Field("Plan", description="Plan writes nothing outside .bucketops/; Apply does the work.")
    suspend: bool = Field(default=False, description="Stop at a safe point and keep all progress.")
    trigger: Annotated[str, Field(max_length=256)] = Field("", description="Any new string starts one run now.")


class _Places(Model):
    """From where to where."""

    source: BucketRef
    destination: BucketRef


class _Terms(Model):
    """What is moved, and how."""

    records: BucketRef | None = Field(None, description="Absent: .bucketops/ in the destination bucket.")
    filter: Filter = Field(default_factory=Filter)
    database: Database | None = Field(None, description="Absent: objects move and nothing is rewritten.")
    on_conflict: Literal["Fail", "KeepDestination", "Overwrite"] = Field(
        "Fail", description="When the destination holds other content that is not ours."
    )
    guard: Literal["Strict", "Check"] = Field(
        "Strict", description="Strict: a race never overwrites a destination object. Check: look, then copy."
    )
    orphans: Literal["Move", "Ignore"] = Field("Move", description="Objects that no row names.")
    verify: Literal["ETag", "Content"] = Field("ETag", description="Content compares the bytes of both objects.")
    cleanup: Cleanup = Field(default_factory=Cleanup)
    worker: Worker = Field(default_factory=Worker)


class MigrationSpec(_Terms, _Places, _Control):
    """What to move where, and which rows name it: as workers and privileges know it."""

    @model_validator(mode="after")
    def _refuse_overlap(self) -> MigrationSpec:
        if overlaps(self.source, self.destination):
            raise ValueError(_OVERLAP)
        return self


class _MaybePlaces(Model):
    """From where to where; a rollback knows it from the migration that it names."""

    source: BucketRef | None = Field(None, description="Where the objects are. Absent: with rollbackOf.")
    destination: BucketRef | None = Field(None, description="Where they go. Absent: with rollbackOf.")


_ONE_OF = "name source and destination, or with rollbackOf the migration whose objects and rows are to be brought back"
_ALONE = (
    "rollbackOf goes with mode, suspend, trigger, cleanup and worker; everything else is that of the migration that it "
    "names: leave it out"
)
_ROWLESS = "cleanup.maxOrphanPercent counts the objects that no row names: name the database, or leave it out"
_OF_THE_MIGRATION = (
    "source", "destination", "records", "filter", "database", "onConflict", "guard", "orphans", "verify",
)  # fmt: skip


class MigrationRequest(_Terms, _MaybePlaces, _Control):
    """What to move where, and which rows name it; or which migration to roll back."""

    RULES = (
        Rule("has(self.rollbackOf) || (has(self.source) && has(self.destination))", _ONE_OF),
        Rule(f"!has(self.rollbackOf) || !({' || '.join(f'has(self.{name})' for name in _OF_THE_MIGRATION)})", _ALONE),
        Rule(
            "!has(self.source) || !has(self.destination)"
            f" || {_or_empty('source.endpoint')} != {_or_empty('destination.endpoint')}"
            " || self.source.bucket != self.destination.bucket"
            f" || !({_or_empty('source.prefix')}.startsWith({_or_empty('destination.prefix')})"
            f" || {_or_empty('destination.prefix')}.startsWith({_or_empty('source.prefix')}))",
            _OVERLAP,
        ),
        Rule(
            "has(self.database) || has(self.rollbackOf) || !has(self.cleanup) || !has(self.cleanup.maxOrphanPercent)",
            _ROWLESS,
        ),
    )
    rollback_of: Name | None = Field(
        None,
        description="The S3Migration in this namespace that is rolled back: what it moved is brought back, and only "
        "that. mode is then Apply unless it says Plan; cleanup and worker are that migration's unless they are given.",
    )

    @model_validator(mode="before")
    @classmethod
    def _apply(cls, data: Any) -> Any:  # noqa: ANN401 - whatever a user wrote
        """Who rolls back does so in a hurry: without a mode it is no plan."""
        rolls_back = isinstance(data, dict) and (data.get("rollbackOf") or data.get("rollback_of"))
        return {"mode": "Apply"} | data if rolls_back else data

    @model_validator(mode="after")
    def _one_of(self) -> MigrationRequest:
        if self.rollback_of:
            given = {to_camel(name) for name in self.model_fields_set}
            if given & set(_OF_THE_MIGRATION):
                raise ValueError(_ALONE)
        elif self.source is None or self.destination is None:
            raise ValueError(_ONE_OF)
        elif overlaps(self.source, self.destination):
            raise ValueError(_OVERLAP)
        elif self.database is None and "max_orphan_percent" in self.cleanup.model_fields_set:
            raise ValueError(_ROWLESS)
        return self


class MigrationProgress(Progress):
    """Progress of a migration."""

    objects_copied: Count = Field(
        0, description="Copies that are there; those beyond objectsDone wait for the second look and for their rows."
    )
    rows_updated: Count = 0
    objects_deleted: Count = 0

    @property
    def reached(self) -> int:
        """Objects that are copied."""
        return max(self.objects_copied, self.objects_done)


class Outcomes(StatusModel):
    """Every object is in exactly one."""

    moved: Count = 0
    already: Count = 0
    conflict: Count = 0
    changed_by_app: Count = 0
    ignored: Count = 0
    failed: Count = 0


class RowOutcomes(StatusModel):
    """Every legacy row is in exactly one."""

    rewritten: Count = 0
    healed: Count = 0
    missing_source: Count = 0
    changed_by_app: Count = 0
    failed: Count = 0


class Census(StatusModel):
    """What fresh listings and a fresh scan of the tables found."""

    legacy_objects: Count = 0
    legacy_rows: Count = 0
    dangling_rows: Count = 0
    production_objects: Count = 0


class Audit(StatusModel):
    """The world before and after; decides Complete."""

    before: Census | None = None
    after: Census | None = None


class PlanRef(StatusModel):
    """What the preflight wrote to the records and later phases work by."""

    key: Annotated[str, Field(max_length=1024)]
    sha256: Annotated[str, Field(max_length=64)]
    shards: Annotated[int, Field(ge=1, le=10_000)]


class MigrationStatus(Status):
    """Status of a migration."""

    progress: MigrationProgress = Field(default_factory=MigrationProgress)
    outcomes: Outcomes = Field(default_factory=Outcomes)
    row_outcomes: RowOutcomes = Field(default_factory=RowOutcomes)
    last_legacy_write: datetime | None = Field(None, description="The newest sign that somebody writes legacy paths.")
    delete_after: datetime | None = None
    orphans: Count = Field(0, description="Moved objects that no row names; they count in outcomes too.")
    not_kept: Count = Field(0, description="Moved objects whose copies lack a property; see samples and the records.")
    audit: Audit = Field(default_factory=Audit)
    plan: PlanRef | None = None
    journal_key: Annotated[str, Field(max_length=64)] = Field(
        "",
        description="Made once, by chance: the journal is sealed with it, beside the key of the records' Secret. "
        "Whoever may read it and write to the records' bucket can forge what was moved.",
    )


_OF_THE_MIGRATION_FROZEN = tuple(name for name in _OF_THE_MIGRATION if name != "database")
_DATABASE_FROZEN = ("credentials", "sslMode", "caBundle", "references", "batchSize", "lockTimeout")

S3MIGRATION = Kind(
    name="S3Migration",
    plural="s3migrations",
    short_name="s3mig",
    spec=MigrationRequest,
    status=MigrationStatus,
    columns=(
        Column("Phase", "string", ".status.phase"),
        Column("Done %", "integer", ".status.progress.percent"),
        Column("Objects", "integer", ".status.progress.objectsDone"),
        Column("Rate", "integer", ".status.progress.objectsPerSecond"),
        Column("ETA", "integer", ".status.progress.etaSeconds"),
        Column("Total", "integer", ".status.progress.objectsTotal", priority=1),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    frozen=("mode", "rollbackOf", *_OF_THE_MIGRATION_FROZEN, *(f"database.{field}" for field in _DATABASE_FROZEN)),
)
