"""The keys of one chunk as they are now: by one listing where the chunk is dense, else by HEAD, which is not believed.

HEAD answers for the name that it is asked for, also where the server keeps that object under another one. So its word
counts for plain keys alone, and only where it says what is expected; the listing decides all else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import ItemError, NotFoundError, StoppedError, TransientError
from bucketops_jobs.s3.keyforms import plain
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.s3.within import before, listed, listing, seen
from bucketops_jobs.shards import Range

__all__ = ["Expected", "listed", "lookup", "seen"]

DENSE = 3
"""A listing may show this many keys for each one that is asked for."""
Expected = Mapping[str, tuple[str, int] | None]
"""By relative key the ETag and the size that are expected; None: no object."""


def lookup(
    engine: Engine, store: Store, prefix: str, keys: Sequence[str], *, span: int, expected: Expected
) -> dict[str, Object]:
    """Relative key -> object, of those that exist. `span`: how many keys lie between the first and the last."""
    if not keys:
        return {}
    if span <= DENSE * len(keys):
        wanted = set(keys)
        within = Range(after=before(keys[0]), until=keys[-1])
        return {key: entry for key, entry in listing(store, prefix, within) if key in wanted}
    found = _heads(engine, store, prefix, [key for key in keys if plain(prefix + key)])
    doubtful = [key for key in keys if key not in found or seen(found[key]) != expected.get(key)]
    believed = {key: entry for key, entry in found.items() if entry is not None}
    shown = zip(doubtful, engine.every(lambda key: listed(store, prefix, key), doubtful), strict=True)
    return {key: entry for key, entry in believed.items() if key not in doubtful} | {k: e for k, e in shown if e}


def _heads(engine: Engine, store: Store, prefix: str, keys: Sequence[str]) -> dict[str, Object | None]:
    """What HEAD says; keys that it does not take (400, say) are left out, for the listing to decide."""
    answers = engine.map(lambda key: store.head(prefix + key), keys)
    found: dict[str, Object | None] = {}
    for key, answer in zip(keys, answers, strict=True):
        if isinstance(answer, TransientError | StoppedError):
            raise answer
        if not isinstance(answer, ItemError) or isinstance(answer, NotFoundError):
            found[key] = None if isinstance(answer, ItemError) else answer
    return found
