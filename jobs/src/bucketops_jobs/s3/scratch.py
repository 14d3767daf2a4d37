"""Scratch objects: whatever happens while they are there, they go, and the first error is the one that is told."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from bucketops_jobs.errors import WorkerError
from bucketops_jobs.s3.store import Store

log = logging.getLogger(__name__)


@contextmanager
def objects(store: Store, folder: str, count: int) -> Iterator[str]:
    """Yield NAME, a new one below `folder`; the keys NAME-1 to NAME-`count` are deleted at the end."""
    name = f"{folder}scratch-{secrets.token_hex(8)}"
    with removed(store, lambda: [f"{name}-{number}" for number in range(1, count + 1)]):
        yield name


@contextmanager
def removed(store: Store, keys: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Delete keys at the end of a block, whatever happens in it; `keys` is asked for them then.

    An error of the block is raised as it is; what could not be deleted then is only logged.
    """
    try:
        yield
    except BaseException:
        for error in _left(store, keys):
            log.warning("a scratch object is left behind", extra={"why": str(error)})
        raise
    for error in _left(store, keys):
        raise error


def _left(store: Store, keys: Callable[[], Iterable[str]]) -> list[WorkerError]:
    """The errors of those that could not be deleted; each is tried."""
    errors = []
    try:
        for key in keys():
            try:
                store.remove([key])
            except WorkerError as error:
                errors.append(error)
    except WorkerError as error:
        errors.append(error)
    return errors
