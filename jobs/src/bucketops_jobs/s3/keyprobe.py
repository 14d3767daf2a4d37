"""Which names a server keeps: keys of each form are written below a scratch folder, and the folder is listed."""

from __future__ import annotations

import logging

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import ItemError, TransientError, UserError, WorkerError
from bucketops_jobs.s3 import scratch
from bucketops_jobs.s3.keyforms import SAMPLES
from bucketops_jobs.s3.store import Object, Store

log = logging.getLogger(__name__)
_CASE = "case"


def changed(store: Store, folder: str) -> tuple[str, ...]:
    """Return the forms (of keyforms.SAMPLES) whose keys a server keeps under another name, emptied, or not at all.

    `folder` is nobody else's, has none of these forms, and ends in '/'; nothing stays behind.
    """
    sizes = {folder + sample: len(_body(sample)) for sample in SAMPLES.values()}
    try:
        for sample in SAMPLES.values():
            _put(store, folder + sample, _body(sample))
        found = {entry.key: entry.size for entry in _shown(store, folder)}
        return tuple(form for form, key in SAMPLES.items() if found.get(folder + key) != sizes[folder + key])
    finally:
        _clear(store, folder)


def folds_case(store: Store, folder: str) -> bool:
    """Return whether a server takes keys for one that differ in case alone."""
    key = folder + _CASE
    with scratch.removed(store, lambda: [key]):
        store.put(key, b"bucketops looks whether case counts", {})
        return store.head(folder + _CASE.upper()) is not None


def _put(store: Store, key: str, body: bytes) -> None:
    """Write one. Plain keys have been written by then, so whatever is refused here is refused of this form.

    A proxy that folds paths breaks the signature, a firewall forbids dots, a server fails: none is the user's mistake.
    """
    try:
        store.put(key, body, {})
    except UserError as error:
        if error.reason is not Reason.ACCESS_DENIED:
            raise
        log.info("a key of this form is not signed as it arrives: %s", error)
    except (ItemError, TransientError) as error:
        log.info("a key of this form is not to be had: %s", error)


def _clear(store: Store, folder: str) -> None:
    """Remove what is listed. MinIO keeps `folder/` where Object Lock is on, since it has no versions to mark."""
    try:
        for entry in _shown(store, folder):
            try:
                store.remove([entry.key])
            except ItemError as error:
                log.warning("a scratch object is left behind", extra={"why": str(error)})
    except WorkerError as error:
        log.warning("scratch objects are left behind", extra={"why": str(error)})


def _body(sample: str) -> bytes:
    return f"bucketops looks which names are kept: {sample}".encode()


def _shown(store: Store, folder: str) -> list[Object]:
    """One page holds them all, and no order of keys is asked for: SeaweedFS has one of its own."""
    return store.page(folder).objects
