"""What every pod of a pipeline works with: both buckets, the place of refusals, the records, the pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bucketops_api.contract import RunSpec
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.exifpipeline import Match, PipelineSpec
from bucketops_jobs import records as recording
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import UserError
from bucketops_jobs.exif import rotate
from bucketops_jobs.pipeline import marks
from bucketops_jobs.pipeline.decide import Rules
from bucketops_jobs.pipeline.notes import Notes
from bucketops_jobs.records import Records
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.listing import is_record
from bucketops_jobs.tally import Tally


@dataclass(frozen=True)
class Context:
    """One pod's tools. Keys of pictures are relative to the prefixes."""

    run: RunSpec
    spec: PipelineSpec
    shard: int
    root: Path
    source: S3Store
    destination: S3Store
    notes: Notes
    records: Records
    engine: Engine
    tally: Tally
    matches: Callable[[str], bool]

    @property
    def pipeline(self) -> str:
        """Whose work it is, as marks have it."""
        return f"{self.run.namespace}/{self.run.name}"

    @property
    def rules(self) -> Rules:
        return Rules(marks.strip_rules(self.spec), marks.refusal_rules(self.spec), self.spec.on_conflict == "Overwrite")

    def source_key(self, key: str) -> str:
        return self.spec.source.prefix + key

    def destination_key(self, key: str) -> str:
        return self.spec.destination.prefix + key

    def close(self) -> None:
        """Give back all connections."""
        for store in (self.source, self.destination, self.notes.store):
            store.close()


def build(run: RunSpec, shard: int, root: Path, engine: Engine, tally: Tally) -> Context:
    """Open everything; UserError names what is missing."""
    spec = PipelineSpec.model_validate(run.spec)
    if spec.strip.orientation == "Rotate" and not rotate.program():
        raise UserError(Reason.INVALID_SPEC, f"strip.orientation: Rotate needs {rotate.HOW_TO_GET_IT}, or write Keep")

    def store(ref: BucketRef) -> S3Store:
        return connect(ref, root, engine.pace)

    source, destination = store(spec.source), store(spec.destination)
    place = f"{spec.source.endpoint or ''} {spec.source.bucket} {spec.source.prefix} {spec.destination.prefix}"
    records = Records(destination, recording.folder(None, run.kind, run.namespace, run.name, place))
    notes = Notes(destination, f"{records.folder}skipped/")
    if spec.on_not_jpeg == "Quarantine" and spec.quarantine:
        notes = Notes(store(spec.quarantine), spec.quarantine.prefix)
    return Context(
        run, spec, shard, root, source, destination, notes, records, engine, tally, matcher(spec.match, spec)
    )


def matcher(match: Match, spec: PipelineSpec) -> Callable[[str], bool]:
    """Whether a relative key is a picture's."""
    endings = tuple(match.extensions if match.case_sensitive else map(str.lower, match.extensions))

    def matches(key: str) -> bool:
        name = key if match.case_sensitive else key.lower()
        return name.endswith(endings) and not is_record(spec.source.prefix + key)

    return matches
