"""What every phase of a migration works with: both buckets, the rows, the records, the pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs import records as recording
from bucketops_jobs.engine import Engine
from bucketops_jobs.migration import content
from bucketops_jobs.migration.merge import Policy
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.pace import Pace
from bucketops_jobs.records import Records
from bucketops_jobs.room import Room
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.filters import matcher
from bucketops_jobs.s3.store import Object
from bucketops_jobs.tally import Tally


@dataclass(frozen=True)
class Context:
    """One worker's tools. Keys of items are relative to both prefixes."""

    run: RunSpec
    spec: MigrationSpec
    shard: int
    source: S3Store
    destination: S3Store
    records: Records
    rows: Rows | None
    engine: Engine
    tally: Tally
    in_scope: Callable[[str], bool]
    room: Room = field(default_factory=Room)
    """For the bodies that pass through this worker."""

    @property
    def pace(self) -> Pace:
        return self.engine.pace

    @property
    def policy(self) -> Policy:
        return Policy(on_conflict=self.spec.on_conflict, orphans=self.spec.orphans)

    def source_key(self, key: str) -> str:
        return self.spec.source.prefix + key

    def destination_key(self, key: str) -> str:
        return self.spec.destination.prefix + key

    def same(self, source: Object, destination: Object) -> bool:
        """Whether both objects have the same content; never decided by size alone."""
        by_bytes = self.spec.verify == "Content"
        return content.same(self.source, source, self.destination, destination, by_bytes=by_bytes)

    def close(self) -> None:
        """Give back all connections."""
        for store in (self.source, self.destination, self.records.store):
            store.close()
        if self.rows is not None:
            self.rows.close()

    @property
    def same_server(self) -> bool:
        """Whether the destination's server can read the source by itself."""
        return self.spec.source.endpoint == self.spec.destination.endpoint


def build(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> Context:
    """Open everything; UserError names what is missing."""
    spec = MigrationSpec.model_validate(run.spec)

    def store(ref: BucketRef) -> S3Store:
        return connect(ref, root, engine.pace, concurrency=spec.worker.concurrency)

    source, destination = store(spec.source), store(spec.destination)
    kept = store(spec.records) if spec.records else destination
    folder = recording.folder(spec.records, run.kind, run.namespace, run.name, place(spec))
    rows = Rows(spec.database, root, spec.source.prefix, spec.destination.prefix) if spec.database else None
    in_scope = matcher(spec.filter)
    return Context(run, spec, shard, source, destination, Records(kept, folder), rows, engine, tally, in_scope)


def place(spec: MigrationSpec) -> str:
    """What makes two migrations the same: from where to where."""
    return "\n".join(f"{ref.endpoint or ''} {ref.bucket} {ref.prefix}" for ref in (spec.source, spec.destination))
