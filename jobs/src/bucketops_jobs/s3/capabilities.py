"""What a server can do, found out on scratch keys: headers that a server ignores are answered with 200."""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bucketops_jobs.errors import DeniedError, ItemError, PreconditionFailedError
from bucketops_jobs.s3.store import ABSENT, TAGGING, Expect, Object, Store

log = logging.getLogger(__name__)
FACT = 250
"""Characters of a fact in `status.capabilities`."""


@dataclass(frozen=True)
class Capabilities:
    """Which conditions the server honours."""

    copy_if_absent: bool
    """If the destination is absent, and if its ETag is the one given."""
    put_if_absent: bool
    """The same."""
    delete_if_match: bool
    others: Mapping[str, str] = field(default_factory=dict)
    """What else is worth knowing, as `facts` has it."""

    def facts(self) -> dict[str, str]:
        """For `status.capabilities`."""
        return {
            "conditionalCopy": _yes(self.copy_if_absent),
            "conditionalPut": _yes(self.put_if_absent),
            "conditionalDelete": _yes(self.delete_if_match),
            **self.others,
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
            others={
                "conditionalCopySource": _yes(
                    _refused(partial(store.copy, store.bucket, source._replace(etag=wrong_etag), key))
                ),
                **_others(store, f"{name}-3"),
            },
        )
    finally:
        store.remove([source.key, scratch.key, f"{name}-3"])


def _others(store: Store, key: str) -> dict[str, str]:
    """The probes that decide nothing by themselves."""
    return {
        "checksums": _said(partial(_checksum_refused, store, key)),
        "tagging": _said(partial(_tags_kept, store, key)),
        "bulkDelete": _said(partial(_deleted_in_bulk, store, key)),
        "versioning": _said(store.versioning),
    }


def _said(question: Callable[[], bool | str]) -> str:
    try:
        answer = question()
    except DeniedError:
        raise
    except ItemError as error:
        return f"unknown: {error}"[:FACT]
    return answer if isinstance(answer, str) else _yes(answer)


def _checksum_refused(store: Store, key: str) -> bool:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html."""
    wrong = base64.b64encode(bytes(32)).decode()
    try:
        store.put(key, b"not what the checksum says", {"x-amz-checksum-sha256": wrong})
    except DeniedError:
        raise
    except ItemError:
        return True
    return False


def _tags_kept(store: Store, key: str) -> bool:
    store.put(key, b"tagged", {TAGGING: "probe=1"})
    content = store.get(key)
    content.body.close()
    return content.headers.get(TAGGING) == "probe=1"


def _deleted_in_bulk(store: Store, key: str) -> bool:
    """Deletes what the other probes left, whatever the server can do."""
    store.put(key, b"", {})
    remaining = store.delete([_found(store, key)], conditional=False)
    for error in remaining.values():
        raise error
    return store.bulk


def _written(store: Store, key: str) -> Object:
    """A scratch object. Two are needed: a copy onto itself is refused for reasons of its own."""
    store.put(key, f"bucketops probes what this server honours: {key}".encode(), {})
    return _found(store, key)


def _found(store: Store, key: str) -> Object:
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
