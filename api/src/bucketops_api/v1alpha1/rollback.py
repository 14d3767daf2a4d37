"""What a rollback works by: the migration that it names, the other way round. Pure."""

from __future__ import annotations

from bucketops_api.v1alpha1.common import Filter
from bucketops_api.v1alpha1.migration import Database, MigrationRequest, MigrationSpec, Reference


def work_of(request: MigrationRequest, origin: MigrationRequest | None = None) -> MigrationSpec:
    """The whole spec that workers get; of a rollback, `origin` is the migration that it names."""
    if origin is None:
        return MigrationSpec.model_validate(_fields(request))
    return _reversed(request, MigrationSpec.model_validate(_fields(origin)))


def _fields(request: MigrationRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in MigrationSpec.model_fields}


def _reversed(request: MigrationRequest, of: MigrationSpec) -> MigrationSpec:
    """From its destination to its source, without a filter: the journal says what was moved.

    A conflict is what the application has written on both sides, and stays for people to look at.
    """
    given = request.model_fields_set
    return MigrationSpec(
        mode=request.mode,
        suspend=request.suspend,
        trigger=request.trigger,
        source=of.destination,
        destination=of.source,
        records=of.records or of.destination.model_copy(update={"prefix": ""}),
        filter=Filter(),
        database=_rows_of(of.database),
        on_conflict="Fail",
        guard=of.guard,
        orphans="Move",
        verify=of.verify,
        cleanup=request.cleanup if "cleanup" in given else of.cleanup,
        worker=request.worker if "worker" in given else of.worker,
    )


def _rows_of(database: Database | None) -> Database | None:
    if database is None:
        return None
    references = [_reference(reference) for reference in database.references]
    return database.model_copy(update={"references": references})


def _reference(reference: Reference) -> Reference:
    return reference.model_copy(update={"format": reference.written_format, "new_format": reference.format})
