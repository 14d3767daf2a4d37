"""What the preflight refuses, and what it warns of; each message says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bucketops_api.privileges.sql import typed
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, ItemError, NotSupportedError, UserError
from bucketops_jobs.migration import columns, fit, foreign_keys, index_check, key_checks, pooler, rights, visibility
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.database import queries as sql
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.migration.tables import Table, limits
from bucketops_jobs.migration.value_ranges import value_ranges
from bucketops_jobs.s3 import clock, failures
from bucketops_jobs.s3.capabilities import Capabilities, probe, probe_source
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.keyforms import forms
from bucketops_jobs.s3.places import SCRATCH, require_apart, require_listed
from bucketops_jobs.shards import Range

_ANY = "a.png"
"""A key that stands for all: what is written of it must not be read as a legacy path."""
YOUNG = timedelta(hours=1)
OLDEST_SERVER = 130000
"""pg_current_snapshot() came with PostgreSQL 13."""


@dataclass(frozen=True)
class Found:
    """What the servers can do, and what this migration may."""

    capabilities: Capabilities
    why_streamed: str
    """Why objects pass through the workers; empty where the destination's server copies by itself."""
    missing: rights.Missing
    """Rights that this migration may do without."""
    encryption: str
    """Of what is written to the source."""


def stores(context: Context) -> Found:
    """Both buckets are there, may be read and written, and are two places."""
    for store, prefix in (
        (context.source, context.spec.source.prefix),
        (context.destination, context.spec.destination.prefix),
    ):
        require_listed(store, prefix)
        clock.agreed(store, prefix)
    missing = rights.require(context)
    require_apart(context.source, context.spec.source.prefix, context.destination, context.spec.destination.prefix)
    try:
        found = probe(context.destination, SCRATCH, in_parts=not missing.parts)
        legacy = probe_source(context.source, SCRATCH)
    except DeniedError as error:
        raise UserError(
            Reason.ACCESS_DENIED, f"{error}: allow all that `bucketops policy` names on .bucketops/*"
        ) from error
    if context.spec.guard == "Strict" and not (found.copy_if_absent or found.put_if_absent):
        raise UserError(
            Reason.INVALID_SPEC,
            "the destination's server honours no condition on writes: choose guard: Check, which looks and then copies",
        )
    _require_names(context, found, folds_case=found.folds_case or legacy.folds_case)
    found = replace(
        found,
        delete_if_match=legacy.if_match,
        others=dict(found.others) | {"bulkDelete": legacy.bulk},
    )
    return Found(found, _why_streamed(context, found), missing, legacy.encryption)


def _require_names(context: Context, found: Capabilities, *, folds_case: bool) -> None:
    """A prefix that the server changes is perhaps another one's; names that it takes for one overwrite each other."""
    refs = [context.spec.destination, *([context.spec.source] if context.same_server else ())]
    for prefix in (ref.prefix for ref in refs):
        if changed := sorted(forms(f"{prefix}x") & set(found.renamed)):
            raise UserError(
                Reason.INVALID_SPEC,
                f"prefix {prefix!r}: the server keeps keys with {' and '.join(changed)} under another name, so it may "
                "be that of other objects: write the prefix that its listing shows",
            )
    if folds_case and context.spec.guard == "Check":
        raise UserError(
            Reason.INVALID_SPEC,
            "the server takes keys for one that differ in case alone, and guard: Check would let one overwrite the "
            "other: choose guard: Strict",
        )


def _why_streamed(context: Context, found: Capabilities) -> str:
    if not context.same_server:
        return "both places have endpoints of their own"
    if not found.copies:
        return "the server does not copy (x-amz-copy-source)"
    if rights.may_copy(context):
        return ""
    return "the destination's identity may not read the source (s3:GetObject)"


def rows(context: Context) -> None:
    """The database can do what the migration needs, and this role may."""
    if context.rows is None:
        return
    pooler.require_transactions(context.rows)
    encoding, version = context.rows.query("look at the server", sql()["server"])[0]
    if encoding != "UTF8":
        raise UserError(Reason.DATABASE_REFUSED, f"the database's encoding is {encoding}: only UTF8 sorts as S3 does")
    if version < OLDEST_SERVER:
        raise UserError(Reason.DATABASE_REFUSED, "PostgreSQL 13 or newer is needed")
    if context.spec.database and context.spec.database.max_replication_lag:
        _statistics(context.rows)
    for table in context.rows.tables:
        _table(context.rows, table, goes_back=context.goes_back)
    foreign_keys.require(context.rows.foreign_keys, context.rows.tables, context.rows.leaders)


def still_allowed(context: Context) -> None:
    """In mid-run, when something was refused: UserError names all rights and grants that are missing by now."""
    rights.require(context)
    if context.rows is not None:
        for table in context.rows.tables:
            visibility.require(context.rows, table)
            _privileges(context.rows, table)


def still_as_planned(context: Context) -> None:
    """In mid-run: UserError where a table has become one that the preflight would have refused."""
    if context.rows is None:
        return
    for table in context.rows.tables:
        visibility.require_whole(context.rows, table)
        columns.require(context.rows, table)


def _statistics(rows: Rows) -> None:
    """Whoever may not read statistics sees no replica's lag, and would take it for none."""
    if not rows.query("look at the privileges", sql()["statistics"])[0][0]:
        raise UserError(
            Reason.ACCESS_DENIED,
            "this role may not see how far replicas are behind: GRANT pg_read_all_stats to it, or leave "
            "maxReplicationLag out",
        )


def _table(rows: Rows, table: Table, *, goes_back: bool) -> None:
    visibility.require(rows, table)
    _privileges(rows, table)
    columns.require(rows, table)
    key_checks.require(rows, table)
    _self_match(rows.tables, table, goes_back=goes_back)
    _width(rows, table)
    index_check.require(rows, table)


def _privileges(rows: Rows, table: Table) -> None:
    ref = table.reference
    values = {"table": table.regclass, "keys": list(ref.keys), "column": ref.column}
    may_select, may_update = rows.query("look at the privileges", sql()["privileges"], values)[0]
    read, column = ", ".join(map(typed, (*ref.keys, ref.column))), typed(ref.column)
    missing = ([] if may_select else [f"SELECT ({read})"]) + ([] if may_update else [f"UPDATE ({column})"])
    if missing:
        raise UserError(
            Reason.ACCESS_DENIED,
            f"this role may not read and rewrite {table.name}: GRANT {', '.join(missing)} ON {table.typed} to it",
        )


def _self_match(tables: Iterable[Table], table: Table, *, goes_back: bool) -> None:
    """A rewritten path that looks legacy would be rewritten again, for ever; one that stays is never rewritten.

    On the way back, a path that can be read both ways names the place that it goes back to (rows.py).
    """
    if table.stays:
        return
    written = table.new.write(_ANY)
    for other in (one for one in tables if one.column == table.column and not one.stays):
        if other.old.read(written) is not None and not goes_back:
            raise UserError(
                Reason.OVERLAP,
                f"{table.name}: new paths such as {written} look like legacy paths again ({other.reference.format}): "
                "choose another destination prefix or a newFormat; if rows hold what stands below the prefix, and are "
                "to stay as they are, let both formats be {key:relative}",
            )
        if other.index != table.index and other.old.read(table.old.write(_ANY)) is not None:
            raise UserError(
                Reason.INVALID_SPEC,
                f"{table.name}: two references read paths such as {table.old.write(_ANY)}, by {table.reference.format} "
                f"and by {other.reference.format}: leave one of them out",
            )


def _width(rows: Rows, table: Table) -> None:
    if table.width is None:
        return
    ranges = value_ranges(table.old, Range())
    longest = rows.query(f"measure {table.name}", table.statement("longest", ranges), limits(ranges))[0][0]
    growth = len(table.new.write("")) - len(table.old.write(""))
    if longest and longest + growth > table.width:
        raise UserError(
            Reason.DATABASE_REFUSED,
            f"{table.name} holds {table.width} characters, rewritten paths need {longest + growth}: widen the column",
        )


def warnings(context: Context, newest: datetime | None, seen: fit.Fit) -> Iterator[str]:
    """What people should know before they go on; none of it stops the run."""
    if newest is not None and datetime.now(UTC) - newest < YOUNG and not context.goes_back:
        yield (
            f"a legacy object was written at {newest.isoformat(timespec='seconds')}: if the application still writes "
            "there, let it write the new form first"
        )
    yield from _versioned(context)
    yield from _unfinished(context.source, context.spec.source.prefix)
    yield from _lifecycle(context.source)
    yield from _lifecycle(context.destination)
    if context.rows is not None:
        yield from context.rows.warnings()
        for table in context.rows.tables:
            yield from columns.warnings(context.rows, table)
        yield from foreign_keys.warnings(context.rows.foreign_keys, context.rows.tables)
        yield from fit.warnings(context, context.rows, seen)
        yield from _lookalikes(context, context.rows)


def _versioned(context: Context) -> Iterator[str]:
    store = context.source
    try:
        versioning = store.versioning()
    except (NotSupportedError, DeniedError):
        return
    if context.spec.cleanup.policy == "Delete" and versioning != "Off":
        yield f"{store.bucket} is versioned: a deletion leaves a delete marker, and the versions beneath stay"


def _unfinished(store: S3Store, prefix: str) -> Iterator[str]:
    look = store.control.list_multipart_uploads
    try:
        found = store.call("list the uploads", lambda: look(Bucket=store.bucket, Prefix=prefix, MaxUploads=1))
    except (NotSupportedError, DeniedError):
        return
    if found.get("Uploads"):
        yield f"{store.bucket}/{prefix} has unfinished multipart uploads: what they complete to is found by the sweeps"


def _lifecycle(store: S3Store) -> Iterator[str]:
    try:
        answer = store.control.get_bucket_lifecycle_configuration(Bucket=store.bucket)
    except ItemError:
        return
    except failures.of_boto3():
        return  # none, not supported, or not allowed: nothing to say
    if answer.get("Rules"):
        yield f"{store.bucket} has lifecycle rules: see that none of them removes what is being moved"


def _lookalikes(context: Context, rows: Rows) -> Iterator[str]:
    prefix = context.spec.source.prefix
    ours = {(t.reference.schema_, t.reference.table, t.reference.column) for t in rows.tables}
    if prefix and not context.goes_back:
        for found in rows.query("look for other columns", sql()["lookalikes"], {"prefix": prefix}):
            if tuple(found) not in ours:
                yield f"column {'.'.join(found)} seems to hold legacy paths too and is not among the references"
