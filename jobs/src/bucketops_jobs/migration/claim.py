"""A claim object in both buckets keeps two migrations of overlapping prefixes apart, on clusters and laptops alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import ItemError, PreconditionFailedError, UserError
from bucketops_jobs.migration.context import Context
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.store import ABSENT

_FOLDER = f"{names.RECORDS_FOLDER}claims/"


def take(context: Context) -> None:
    """Claim both places, or say who holds them; one that is ours already is kept."""
    taken: list[tuple[S3Store, str]] = []
    try:
        for store, prefix in _places(context):
            _take(store, prefix, _owner(context), taken)
    except UserError:
        for store, key in taken:
            store.remove([key])
        raise


def release(context: Context) -> None:
    """Give both places back: nothing of this migration writes any more."""
    for store, prefix in _places(context):
        held = [key for key, claim in _claims(store) if claim == _claim(prefix, _owner(context))]
        store.remove(held)


def _take(store: S3Store, prefix: str, owner: str, taken: list[tuple[S3Store, str]]) -> None:
    """Claim first, look then: of two that begin at once, at least one sees the other."""
    body = json.dumps(_claim(prefix, owner)).encode()
    own = _key(prefix, owner)
    try:
        store.put(own, body, {"content-type": "application/json"}, ABSENT)
    except PreconditionFailedError:
        return  # ours already: whoever came later has seen it
    taken.append((store, own))
    for key, claim in _claims(store):
        if claim["owner"] != owner and _overlap(str(claim["prefix"]), prefix):
            raise UserError(
                Reason.CLAIMED,
                f"{store.bucket}/{prefix} is being migrated by {claim['owner']}: wait for its end; if it is gone for "
                f"good, delete the object {key} in {store.bucket}",
            )


def _places(context: Context) -> tuple[tuple[S3Store, str], ...]:
    return (context.source, context.spec.source.prefix), (context.destination, context.spec.destination.prefix)


def _owner(context: Context) -> str:
    return f"{context.run.kind} {context.run.namespace}/{context.run.name}"


def _claim(prefix: str, owner: str) -> dict[str, str]:
    return {"prefix": prefix, "owner": owner}


def _key(prefix: str, owner: str) -> str:
    return f"{_FOLDER}{hashlib.sha256(f'{prefix} {owner}'.encode()).hexdigest()[:24]}.json"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _claims(store: S3Store) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in store.keys(_FOLDER):
        try:
            with store.get(key).body as body:
                yield key, json.loads(body.read())
        except ItemError:
            continue  # released just now
