"""A claim object in both buckets keeps two migrations of overlapping prefixes apart, on clusters and laptops alike.

A rollback takes the claim of the migration that it rolls back: whoever still works for that one finds its claim gone
before it rewrites a row or deletes an object, and stops. Claims are listed, never asked for by name: of an absent key
AWS says 403 to who may list a part of the bucket alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    PreconditionFailedError,
    StoppedError,
    UserError,
)
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import ROOT
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.store import ABSENT

SETTLE_SECONDS = 15.0
"""Longer than the evidence of a deletion holds (delete.FRESH_SECONDS): what was on its way has arrived by then."""
QUIET = timedelta(seconds=30)
"""Of a migration whose status nobody knows: a journal that was not written for so long is that of nobody at work."""
_FOLDER = f"{names.RECORDS_FOLDER}claims/"
_LARGEST = 16 << 10
"""Bytes of a claim."""


def take(context: Context) -> None:
    """Claim both places, or say who holds them; one that is ours already is kept."""
    taken: list[tuple[S3Store, str]] = []
    try:
        _require_quiet(context)
        for store, prefix in _places(context):
            _take(context, store, prefix, taken)
        _take_over(context)
    except UserError:
        for store, key in taken:
            store.remove([key])
        raise


def release(context: Context) -> None:
    """Give both places back: nothing of this migration writes any more."""
    for store, prefix in _places(context):
        held = [key for key, claim in _claims(store) if claim == _claim(prefix, _owner(context))]
        store.remove(held)


def require(context: Context) -> None:
    """UserError when the claim is no longer ours: no row may be rewritten then, and nothing deleted."""
    owner, prefix, store = _owner(context), context.spec.destination.prefix, context.destination
    if _key(prefix, owner) in set(store.keys(_FOLDER)):
        return
    others = sorted({claim["owner"] for _, claim in _claims(store) if _overlap(claim["prefix"], prefix)})
    if others:
        words = f"{', '.join(others)} has taken the claim of {owner}: wait for its end, then set a new trigger"
    else:
        words = f"the claim of {owner} in {store.bucket} is gone, so somebody has ended it: set a new trigger"
    raise UserError(Reason.CLAIMED, words)


def _take(context: Context, store: S3Store, prefix: str, taken: list[tuple[S3Store, str]]) -> None:
    """Claim first, look then: of two that begin at once, at least one sees the other."""
    owner = _owner(context)
    body = json.dumps(_claim(prefix, owner)).encode()
    own = _key(prefix, owner)
    try:
        store.put(own, body, {"content-type": "application/json"}, ABSENT)
    except PreconditionFailedError:
        return  # ours already: whoever came later has seen it
    taken.append((store, own))
    for key, claim in _claims(store):
        if claim["owner"] not in {owner, _rolled_back(context)} and _overlap(claim["prefix"], prefix):
            raise UserError(
                Reason.CLAIMED,
                f"{store.bucket}/{prefix} is being migrated by {claim['owner']}: wait for its end; if it is gone for "
                f"good, delete the object {key} in {store.bucket}",
            )


def _take_over(context: Context) -> None:
    """Take the claims of the migration that is rolled back: first the one that its workers look for, then the other.

    A crash in between leaves the second one there, and the wait is made anew.
    """
    held = _held_by_origin(context)
    for store, key in held[:1]:
        store.remove([key])
        if context.engine.stop.wait(SETTLE_SECONDS):
            raise StoppedError("told to stop while the last requests of the migration may be on their way")
    for store, key in held:
        store.remove([key])


def _held_by_origin(context: Context) -> list[tuple[S3Store, str]]:
    owner = _rolled_back(context)
    keys = ((store, _key(prefix, owner)) for store, prefix in _places(context))
    return [(store, key) for store, key in keys if key in set(store.keys(_FOLDER))] if owner else []


def _require_quiet(context: Context) -> None:
    """Whoever runs on a laptop cannot be asked whether it is at work; its journal tells."""
    if context.run.origin_rests or not _held_by_origin(context):
        return
    newest = context.records.newest(ROOT)
    if newest is not None and datetime.now(UTC) - newest < QUIET:
        raise UserError(
            Reason.CLAIMED,
            f"{_rolled_back(context)} wrote its journal at {newest.isoformat(timespec='seconds')}, so it may be at "
            f"work: stop it (spec.suspend: true, or Ctrl-C), wait {QUIET.total_seconds():.0f} s and try again",
        )


def _places(context: Context) -> tuple[tuple[S3Store, str], ...]:
    return (context.source, context.spec.source.prefix), (context.destination, context.spec.destination.prefix)


def _owner(context: Context) -> str:
    return f"{context.run.kind} {context.run.namespace}/{context.run.name}"


def _rolled_back(context: Context) -> str:
    """The owner that a rollback takes over from."""
    name = context.run.rollback_of
    return f"{context.run.kind} {context.run.namespace}/{name}" if name else ""


def _claim(prefix: str, owner: str) -> dict[str, str]:
    return {"prefix": prefix, "owner": owner}


def _key(prefix: str, owner: str) -> str:
    return f"{_FOLDER}{hashlib.sha256(f'{prefix} {owner}'.encode()).hexdigest()[:24]}.json"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _claims(store: S3Store) -> Iterator[tuple[str, dict[str, str]]]:
    """The claims of a bucket. One that cannot be read, or was changed, is that of `somebody` on everything."""
    for key in store.keys(_FOLDER):
        try:
            with store.get(key).body as body:
                yield key, _read(key, body.read(_LARGEST + 1))
        except NotFoundError:
            continue  # released just now
        except DeniedError:
            raise
        except ItemError:
            yield key, _read(key, b"")


def _read(key: str, data: bytes) -> dict[str, str]:
    """A claim as it was written under its key, which is made of all that it says."""
    try:
        found = json.loads(data)
        claim = _claim(str(found["prefix"]), str(found["owner"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        claim = {}
    named = claim and key == _key(claim["prefix"], claim["owner"])
    return claim if named else _claim("", f"somebody (the claim {key} cannot be read, or was changed)")
