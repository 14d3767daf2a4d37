"""What a retention works with: the place, the records, the pace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs import records as recording
from bucketops_jobs.engine import Engine
from bucketops_jobs.records import Records
from bucketops_jobs.retention.journal import Seal
from bucketops_jobs.retention.places import Current, Place, Versions
from bucketops_jobs.s3 import identity
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.tally import Tally


@dataclass(frozen=True)
class Context:
    """One worker's tools."""

    run: RunSpec
    spec: RetentionSpec
    store: S3Store
    place: Place
    records: Records
    engine: Engine
    tally: Tally
    seal: Seal

    def close(self) -> None:
        """Give back all connections."""
        self.store.close()


def build(run: RunSpec, root: Path, engine: Engine, tally: Tally) -> Context:
    """Open everything; UserError names what is missing."""
    spec = RetentionSpec.model_validate(run.spec)
    ref = spec.bucket
    store = connect(ref, root, engine.pace)
    place = Versions(store, ref) if spec.versions == "All" else Current(store, ref)
    # The records lie in the bucket itself: they are found again whatever name its endpoint has elsewhere.
    records = Records(store, recording.folder(None, run.kind, run.namespace, run.name, ref.prefix))
    seal = Seal(_secret_key(ref, root), f"{ref.bucket} {records.folder}")
    return Context(run, spec, store, place, records, engine, tally, seal)


def _secret_key(ref: BucketRef, root: Path) -> str:
    """The secret key of the Secret that the bucket names; '' where an identity has none that stays."""
    who = identity.mounted(ref, root)
    return who().secret_key if who else ""
