"""What a server can do, found out on a scratch key: headers that a server ignores are answered with 200."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bucketops_jobs.errors import ItemError, PreconditionFailedError
from bucketops_jobs.s3.store import ABSENT, Expect, Object, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capabilities:
    """Which conditions the server honours."""

    copy_if_absent: bool
    """If the destination is absent, and if its ETag is the one given."""
    put_if_absent: bool
    """The same."""
    delete_if_match: bool

    def facts(self) -> dict[str, str]:
        """For `status.capabilities`."""
        return {
            "conditionalCopy": _yes(self.copy_if_absent),
            "conditionalPut": _yes(self.put_if_absent),
            "conditionalDelete": _yes(self.delete_if_match),
        }


def probe(store: Store, folder: str) -> Capabilities:
    """Try each condition on two scratch keys below `folder` (which ends in '/'); nothing stays behind."""
    name = f"{folder}scratch-{secrets.token_hex(8)}"
    source, scratch = _written(store, f"{name}-1"), _written(store, f"{name}-2")
    key, wrong_etag = scratch.key, "0" * len(scratch.etag)
    both = (ABSENT, Expect(etag=wrong_etag))
    try:
        return Capabilities(
            copy_if_absent=all(_refused(partial(store.copy, store.bucket, source, key, expect)) for expect in both),
            put_if_absent=all(_refused(partial(store.put, key, b"overwritten", {}, expect)) for expect in both),
            delete_if_match=_delete_refused(store, scratch._replace(etag=wrong_etag)),
        )
    finally:
        store.delete([source, scratch], conditional=False)


def _written(store: Store, key: str) -> Object:
    """A scratch object. Two are needed: a copy onto itself is refused for reasons of its own."""
    store.put(key, f"bucketops probes what this server honours: {key}".encode(), {})
    found = store.head(key)
    if found is None:
        raise ItemError(f"the scratch key {key!r} was written and is not there")
    return found


def _refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except PreconditionFailedError:
        return True
    except ItemError as error:
        log.info("a probed condition is not supported: %s", error)
    return False


def _delete_refused(store: Store, wrong: Object) -> bool:
    remaining = store.delete([wrong], conditional=True)
    return wrong.key in remaining and store.head(wrong.key) is not None


def _yes(value: bool) -> str:
    return "yes" if value else "no"
