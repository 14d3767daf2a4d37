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
from bucketops_jobs.migration import content, sealing
from bucketops_jobs.migration import report as reporting
from bucketops_jobs.migration.history import Recall, backward, onward
from bucketops_jobs.migration.merge import Item, Policy
from bucketops_jobs.migration.report import Report
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
    recall: Recall = onward
    report: Report | None = None
    """Of the phases that say how each key ends."""
    room: Room = field(default_factory=Room)
    """For the bodies that pass through this worker."""

    @property
    def pace(self) -> Pace:
        return self.engine.pace

    @property
    def goes_back(self) -> bool:
        """Whether this is a rollback: the source is then the place that a migration moved to."""
        return bool(self.run.rollback_of)

    def concerns(self, item: Item) -> bool:
        """Whether an item is this migration's: a rollback's is what the journal says was moved, and nothing else."""
        if self.goes_back:
            return item.entry is not None
        return self.in_scope(item.key) and bool(item.source or item.entry or item.legacy)

    @property
    def policy(self) -> Policy:
        return Policy(self.spec.on_conflict, self.spec.orphans, goes_back=self.goes_back)

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
        return connect(ref, root, engine.pace)

    source, destination = store(spec.source), store(spec.destination)
    kept = store(spec.records) if spec.records else destination
    seal = sealing.seal(spec.records or spec.destination, root, run.journal_key)
    onto = place(spec.destination, spec.source) if run.rollback_of else place(spec.source, spec.destination)
    folder = recording.folder(spec.records, run.kind, run.namespace, run.rollback_of or run.name, onto)
    prefixes, back = (spec.source.prefix, spec.destination.prefix), bool(run.rollback_of)
    rows = Rows(spec.database, root, *prefixes, goes_back=back) if spec.database else None
    if rows is not None:
        tally.show(rows.waits.now)
    in_scope, recall = matcher(spec.filter), backward if run.rollback_of else onward
    records = Records(kept, folder, seal)
    report = Report(records, run.run, shard) if run.phase in reporting.PHASES else None
    return Context(run, spec, shard, source, destination, records, rows, engine, tally, in_scope, recall, report)


def place(source: BucketRef, destination: BucketRef) -> str:
    """What makes two migrations the same: from where to where. A rollback's journal is that of the migration."""
    return "\n".join(f"{ref.endpoint or ''} {ref.bucket} {ref.prefix}" for ref in (source, destination))
