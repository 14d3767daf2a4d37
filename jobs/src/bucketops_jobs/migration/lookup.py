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
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range

DENSE = 3
"""A listing may show this many keys for each one that is asked for."""
_FIRST, _SURROGATES = "!", range(0xD800, 0xE000)
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
        within = Range(after=_before(keys[0]), until=keys[-1])
        return {key: entry for key, entry in listing(store, prefix, within) if key in wanted}
    found = _heads(engine, store, prefix, [key for key in keys if plain(prefix + key)])
    doubtful = [key for key in keys if key not in found or seen(found[key]) != expected.get(key)]
    believed = {key: entry for key, entry in found.items() if entry is not None}
    shown = zip(doubtful, engine.every(lambda key: listed(store, prefix, key), doubtful), strict=True)
    return {key: entry for key, entry in believed.items() if key not in doubtful} | {k: e for k, e in shown if e}


def listed(store: Store, prefix: str, key: str) -> Object | None:
    """Return the object of a relative key as a listing below the prefix shows it, or None.

    Never by the key as a prefix: a server that folds names shows what it is asked for.
    """
    within = Range(after=_before(key), until=key)
    return next((entry for name, entry in listing(store, prefix, within) if name == key), None)


def seen(entry: Object | None) -> tuple[str, int] | None:
    """Return what is expected of an object that has not changed."""
    return (entry.etag, entry.size) if entry is not None else None


def _before(key: str) -> str:
    """Return a string close below a key; what lies between is listed too. Control characters are none to begin at.

    Of a folder's own key: below its name without the slash, which is how SeaweedFS orders folders.
    """
    key = key.rstrip("/") or key
    if not key or key[-1] <= _FIRST:
        return key[:-1]
    last = ord(key[-1]) - 1
    return f"{key[:-1]}{chr(last if last not in _SURROGATES else _SURROGATES.start - 1)}~~"


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
