"""What a server can do, found out on scratch keys: headers that a server ignores are answered with 200."""

from __future__ import annotations

import base64
import io
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bucketops_jobs.errors import DeniedError, ItemError, NotSupportedError, PreconditionFailedError
from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.multipart import Upload
from bucketops_jobs.s3.store import ABSENT, STORAGE_CLASS, TAGGING, Expect, Object, Store

log = logging.getLogger(__name__)
FACT = 250
"""Characters of a fact in `status.capabilities`."""
_NOT_ALLOWED = "not allowed"
PROPERTIES = {
    "content-type": "image/x-probe",
    "cache-control": "max-age=60",
    "content-disposition": 'attachment; filename="probe"',
    "content-encoding": "identity",
    "content-language": "de",
    "expires": "Thu, 01 Dec 2033 16:00:00 GMT",
    "x-amz-meta-probe": "kept",
    TAGGING: "probe=1",
}
"""One of each kind of property that an object can have, with a value that no server gives by itself."""


@dataclass(frozen=True)
class Capabilities:
    """Which conditions the server honours, which calls it knows, and which properties of objects it keeps."""

    copy_if_absent: bool
    """If the destination is absent, and if its ETag is the one given."""
    put_if_absent: bool
    """The same."""
    delete_if_match: bool
    complete_if_absent: bool = False
    """As copy_if_absent, at the completion of a multipart upload."""
    multipart: bool = False
    part_copy: bool = False
    """Whether it copies parts by itself."""
    lost: tuple[str, ...] = ()
    """Of PROPERTIES those that a PUT does not bring there."""
    lost_by_copy: tuple[str, ...] = ()
    """The same of a copy by the server: MinIO forgets when an object expires."""
    others: Mapping[str, str] = field(default_factory=dict)
    """What else is worth knowing, as `facts` has it."""

    def facts(self) -> dict[str, str]:
        """For `status.capabilities`."""
        return {
            "conditionalCopy": _yes(self.copy_if_absent),
            "conditionalPut": _yes(self.put_if_absent),
            "conditionalDelete": _yes(self.delete_if_match),
            "conditionalMultipart": _yes(self.complete_if_absent),
            "multipartCopy": _yes(self.part_copy),
            **self.others,
        }


@dataclass(frozen=True)
class SourceFacts:
    """How a server deletes, and keeps what it is given."""

    if_match: bool
    bulk: str
    """Whether many keys go by one request; `unknown: …` where it did not tell."""
    encryption: str
    """How an object is encrypted whose writer asks for nothing."""


def probe(store: Store, folder: str) -> Capabilities:
    """Try each condition on scratch keys below `folder` (which ends in '/'); nothing stays behind."""
    name = f"{folder}scratch-{secrets.token_hex(8)}"
    source, scratch = _written(store, f"{name}-1"), _written(store, f"{name}-2")
    key, wrong_etag = scratch.key, "0" * len(scratch.etag)
    both = (ABSENT, Expect(etag=wrong_etag))
    tagging = _tags_kept(store, f"{name}-3")
    lost, lost_by_copy = _lost(store, f"{name}-3", tagging)
    parts, part_copy = _in_parts(store, source, key)
    try:
        return Capabilities(
            copy_if_absent=all(_refused(partial(store.copy, store.bucket, source, key, expect)) for expect in both),
            put_if_absent=all(_refused(partial(store.put, key, b"overwritten", {}, expect)) for expect in both),
            complete_if_absent=parts is not None and all(_refused(partial(parts, expect)) for expect in both),
            multipart=parts is not None,
            part_copy=part_copy,
            lost=lost,
            lost_by_copy=lost_by_copy,
            delete_if_match=_delete_refused(store, scratch._replace(etag=wrong_etag)),
            others={
                "conditionalCopySource": _yes(
                    _refused(partial(store.copy, store.bucket, source._replace(etag=wrong_etag), key))
                ),
                "encryption": _encryption(store, source.key),
                "checksums": _said(partial(_checksum_refused, store, f"{name}-3")),
                "tagging": tagging,
                "bulkDelete": _said(partial(_deleted_in_bulk, store, f"{name}-3")),
                "versioning": _said(store.versioning),
            },
        )
    finally:
        store.remove([source.key, scratch.key, f"{name}-3", f"{name}-4"])


def probe_source(store: Store, folder: str) -> SourceFacts:
    """What matters of the bucket that is read and deleted from: it may be another server's."""
    name = f"{folder}scratch-{secrets.token_hex(8)}"
    try:
        scratch = _written(store, f"{name}-1")
        wrong = scratch._replace(etag="0" * len(scratch.etag))
        encryption = _encryption(store, scratch.key)
        return SourceFacts(
            _delete_refused(store, wrong), _said(partial(_deleted_in_bulk, store, f"{name}-2")), encryption
        )
    finally:
        store.remove([f"{name}-1", f"{name}-2"])


def classes_taken(store: Store, folder: str, classes: Iterable[str]) -> tuple[str, ...]:
    """Which of these storage classes a server has: versitygw takes any and stores STANDARD."""
    key = f"{folder}scratch-{secrets.token_hex(8)}"

    def takes(name: str) -> bool:
        try:
            store.put(key, b"", {STORAGE_CLASS: name})
        except ItemError as error:
            log.info("the storage class %s is not to be had: %s", name, error)
            return False
        return _found(store, key).storage_class == name

    taken = tuple(name for name in sorted(classes) if takes(name))
    store.remove([key])
    return taken


def _lost(store: Store, key: str, tagging: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The properties that do not survive a PUT, and those that do not survive a copy by the server."""
    may_tag = not tagging.startswith(_NOT_ALLOWED)  # else an object with tags is to fail, not to lose them
    tried = {name: value for name, value in PROPERTIES.items() if name != TAGGING or tagging == "yes"}
    judged = {name for name in PROPERTIES if name != TAGGING or may_tag}
    store.put(key, b"with all properties", tried)
    lost = _missing(_properties(store, key), judged)
    copy = f"{key.rpartition('-')[0]}-4"
    try:
        store.copy(store.bucket, _found(store, key), copy)
    except ItemError as error:
        log.info("the server does not copy: %s", error)
        return lost, lost
    return lost, _missing(_properties(store, copy), judged)


def _missing(found: Mapping[str, str], judged: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in judged if found.get(name) != PROPERTIES[name]))


def _encryption(store: Store, key: str) -> str:
    return store.encryption(key) if isinstance(store, S3Store) else "none"


def _properties(store: Store, key: str) -> Mapping[str, str]:
    content = store.get(key)
    content.body.close()
    return content.headers


def _tags_kept(store: Store, key: str) -> str:
    try:
        store.put(key, b"tagged", {TAGGING: PROPERTIES[TAGGING]})
        return _yes(_properties(store, key).get(TAGGING) == PROPERTIES[TAGGING])
    except DeniedError as error:
        return f"{_NOT_ALLOWED}: {error}"[:FACT]
    except NotSupportedError:
        return "no"
    except ItemError as error:
        return f"no: {error}"[:FACT]


def _in_parts(store: Store, source: Object, key: str) -> tuple[Callable[[Expect], str] | None, bool]:
    """What completes an upload in one part to a key, or None where there are none; and whether parts are copied."""
    if not isinstance(store, S3Store):
        return None, False
    try:
        Upload.begin(store, key, {}).abort()
    except DeniedError:
        raise
    except ItemError as error:
        log.info("no multipart uploads: %s", error)
        return None, False
    part_copy = _part_copied(store, source, key)
    return partial(_completed, store, source, key, part_copy), part_copy


def _part_copied(store: S3Store, source: Object, key: str) -> bool:
    upload = Upload.begin(store, key, {})
    try:
        upload.copy_part(1, store.bucket, source, (0, source.size))
    except ItemError as error:
        log.info("no copies of parts: %s", error)
        return False
    finally:
        upload.abort()
    return True


def _completed(store: S3Store, source: Object, key: str, part_copy: bool, expect: Expect) -> str:
    upload = Upload.begin(store, key, {})
    try:
        if part_copy:
            etag = upload.copy_part(1, store.bucket, source, (0, source.size))
        else:
            with store.get(source.key).body as body:
                data = body.read()
            etag = upload.put_part(1, io.BytesIO(data), wire.md5(data), source.size)
        return upload.complete({1: etag}, expect)
    finally:
        upload.abort()


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
