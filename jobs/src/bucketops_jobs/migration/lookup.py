"""The keys of one chunk as they are now: by one listing where the chunk is dense, else by HEAD."""

from __future__ import annotations

from collections.abc import Sequence

from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import ItemError, StoppedError, TransientError
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range

DENSE = 3
"""A listing may show this many keys for each one that is asked for."""


def lookup(engine: Engine, store: Store, prefix: str, keys: Sequence[str], *, span: int) -> dict[str, Object]:
    """Relative key -> object, of those that exist. `span`: how many keys lie between the first and the last."""
    if not keys:
        return {}
    if span <= DENSE * len(keys):
        wanted = set(keys)
        within = Range(after=keys[0][:-1], until=keys[-1])
        return {key: entry for key, entry in listing(store, prefix, within) if key in wanted}
    return _heads(engine, store, prefix, keys)


def _heads(engine: Engine, store: Store, prefix: str, keys: Sequence[str]) -> dict[str, Object]:
    answers = engine.map(lambda key: store.head(prefix + key), keys)
    found: dict[str, Object] = {}
    for key, answer in zip(keys, answers, strict=True):
        if isinstance(answer, ItemError | TransientError | StoppedError):
            raise answer
        if answer is not None:
            found[key] = answer
    return found
