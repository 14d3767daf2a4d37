"""What a server can do, found out on scratch keys: headers that a server ignores are answered with 200."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, ItemError, NotSupportedError, PreconditionFailedError, UserError
from bucketops_jobs.s3 import conditions, keyprobe, scratch, wire
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.conditions import Honoured
from bucketops_jobs.s3.multipart import Upload
from bucketops_jobs.s3.store import STORAGE_CLASS, TAGGING, Expect, Object, Store

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
    """Of a copy by the server, if the destination is absent; and so on."""
    put_if_absent: bool
    delete_if_match: bool
    complete_if_absent: bool = False
    """At the completion of a multipart upload."""
    copy_if_match: bool = True
    put_if_match: bool = True
    complete_if_match: bool = True
    bare_etags: bool = False
    """Whether If-Match is understood without quotes alone."""
    copies: bool = True
    """Whether the server copies at all, on the condition that the source is unchanged."""
    renamed: tuple[str, ...] = ()
    """Forms of keys (keyforms.py) that it keeps under another name, or not at all."""
    folds_case: bool = False
    multipart: bool = False
    part_copy: bool = False
    """Whether it copies parts by itself."""
    lost: tuple[str, ...] = ()
    """Of PROPERTIES those that a PUT does not bring there."""
    lost_by_copy: tuple[str, ...] = ()
    """The same of a copy by the server: MinIO forgets when an object expires."""
    others: Mapping[str, str] = field(default_factory=dict)
    """What else is worth knowing, as `facts` has it."""

    def copy_holds(self, expect: Expect) -> Expect | None:
        """Return a copy's expectation as the server understands it; None where it does not look at it."""
        return self._said(expect, absent=self.copy_if_absent, match=self.copy_if_match)

    def put_holds(self, expect: Expect) -> Expect | None:
        """As copy_holds, of a PUT."""
        return self._said(expect, absent=self.put_if_absent, match=self.put_if_match)

    def completion_holds(self, expect: Expect) -> Expect | None:
        """As copy_holds, of the completion of a multipart upload."""
        return self._said(expect, absent=self.complete_if_absent, match=self.complete_if_match)

    def _said(self, expect: Expect, *, absent: bool, match: bool) -> Expect | None:
        if expect.etag:
            return replace(expect, bare=self.bare_etags) if match else None
        return expect if absent or not expect.absent else None

    def facts(self) -> dict[str, str]:
        """For `status.capabilities`."""
        return {
            "conditionalCopy": _yes(self.copy_if_absent),
            "conditionalPut": _yes(self.put_if_absent),
            "conditionalDelete": _yes(self.delete_if_match),
            "conditionalMultipart": _yes(self.complete_if_absent),
            "conditionalOverwrite": _yes(self.put_if_match),
            "keys": f"changed: {', '.join(self.renamed)}" if self.renamed else "kept",
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
    folds_case: bool = False


def probe(store: Store, folder: str, *, in_parts: bool = True) -> Capabilities:
    """Try each condition, wrong and right, on scratch keys below `folder` (which ends in '/'); nothing stays behind.

    `in_parts`: whether this identity may use multipart uploads; else none is begun, for it could not be aborted.
    """
    with scratch.objects(store, folder, 7) as name:
        return _probed(store, name, in_parts=in_parts)


def _probed(store: Store, name: str, *, in_parts: bool) -> Capabilities:
    source, other = _two(store, name)
    tagging = _tags_kept(store, f"{name}-3")
    lost, lost_by_copy = _lost(store, f"{name}-3", tagging)
    parts, part_copy = _in_parts(store, source, other.key) if in_parts else (None, False)
    fresh = iter([f"{name}-{number}" for number in (5, 6, 7)])
    put, copy, complete = (
        conditions.probe(store, write, other.key, next(fresh)) if write else Honoured()
        for write in (partial(_put, store), partial(_copied, store, source), parts)
    )
    return Capabilities(
        copy_if_absent=copy.if_absent,
        copy_if_match=copy.if_match and copy.bare == put.bare,
        put_if_absent=put.if_absent,
        put_if_match=put.if_match,
        complete_if_absent=complete.if_absent,
        complete_if_match=complete.if_match and complete.bare == put.bare,
        bare_etags=put.bare,
        copies=_copies(store, source, other.key),
        renamed=keyprobe.changed(store, f"{name}-names/"),
        folds_case=keyprobe.folds_case(store, f"{name}-"),
        multipart=parts is not None,
        part_copy=part_copy,
        lost=lost,
        lost_by_copy=lost_by_copy,
        delete_if_match=conditions.deletes(store, _found(store, other.key)),
        others={
            "conditionalCopySource": _yes(_source_condition(store, source, other.key)),
            "encryption": _encryption(store, source.key),
            "checksums": _said(partial(_checksum_refused, store, f"{name}-3")),
            "tagging": tagging,
            "bulkDelete": _said(partial(_deleted_in_bulk, store, f"{name}-3")),
            "versioning": _versioning(store),
        },
    )


def _put(store: Store, key: str, expect: Expect) -> str:
    return store.put(key, b"overwritten", {}, expect)


def _copied(store: Store, source: Object, key: str, expect: Expect) -> str:
    return store.copy(store.bucket, source, key, expect)


def _copies(store: Store, source: Object, key: str) -> bool:
    """Whether a copy is made while its source is as it was seen, and is then what is found."""
    try:
        store.copy(store.bucket, source, key)
    except ItemError as error:
        log.info("the server does not copy: %s", error)
        return False
    return _found(store, key).size == source.size


def _source_condition(store: Store, source: Object, key: str) -> bool:
    try:
        store.copy(store.bucket, source._replace(etag=conditions.WRONG_ETAG), key)
    except PreconditionFailedError:
        return True
    except ItemError as error:
        log.info("a probed condition is not supported: %s", error)
    return False


def probe_source(store: Store, folder: str) -> SourceFacts:
    """What matters of the bucket that is read and deleted from: it may be another server's."""
    with scratch.objects(store, folder, 3) as name:
        one, _ = _two(store, name)
        encryption = _encryption(store, one.key)
        return SourceFacts(
            conditions.deletes(store, one),
            _said(partial(_deleted_in_bulk, store, f"{name}-3")),
            encryption,
            keyprobe.folds_case(store, f"{name}-"),
        )


def _two(store: Store, name: str) -> tuple[Object, Object]:
    """Two scratch objects of one size; UserError where no ETag tells them apart: nothing could be told from another.

    Two are needed: a copy onto itself is refused for reasons of its own.
    """
    one, other = _written(store, f"{name}-1"), _written(store, f"{name}-2")
    if one.etag == other.etag or not (one.etag and other.etag):
        raise UserError(
            Reason.INVALID_SPEC,
            f"{store.bucket}: its server shows {'the same ETag' if one.etag else 'no ETag'} for objects of different "
            "content, so neither a change nor a damaged copy could be seen: use a server whose ETags tell",
        )
    return one, other


def classes_taken(store: Store, folder: str, classes: Iterable[str]) -> tuple[str, ...]:
    """Which of these storage classes a server has: versitygw takes any and stores STANDARD."""
    with scratch.objects(store, folder, 1) as name:
        return tuple(one for one in sorted(classes) if _takes(store, f"{name}-1", one))


def _takes(store: Store, key: str, storage_class: str) -> bool:
    try:
        store.put(key, b"", {STORAGE_CLASS: storage_class})
    except ItemError as error:
        log.info("the storage class %s is not to be had: %s", storage_class, error)
        return False
    return _found(store, key).storage_class == storage_class


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
    if isinstance(store, S3Store):
        return store.properties(key)
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


def _in_parts(store: Store, source: Object, key: str) -> tuple[conditions.Write | None, bool]:
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
    return partial(_completed, store, source, part_copy), part_copy


def _part_copied(store: S3Store, source: Object, key: str) -> bool:
    """A part without an ETag cannot be named at the completion: rclone answers so, and copies nothing."""
    upload = Upload.begin(store, key, {})
    try:
        return bool(upload.copy_part(1, store.bucket, source, (0, source.size)))
    except ItemError as error:
        log.info("no copies of parts: %s", error)
        return False
    finally:
        upload.abort()


def _completed(store: S3Store, source: Object, part_copy: bool, key: str, expect: Expect) -> str:
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


def _versioning(store: Store) -> str:
    """Few need to know, so the right is not demanded."""
    try:
        return _said(store.versioning)
    except DeniedError as error:
        return f"{_NOT_ALLOWED}: {error}"[:FACT]


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
    store.put(key, f"bucketops probes what this server honours: {key}".encode(), {})
    return _found(store, key)


def _found(store: Store, key: str) -> Object:
    found = store.head(key)
    if found is None:
        raise ItemError(f"the scratch key {key!r} was written and is not there")
    return found


def _yes(value: bool) -> str:
    return "yes" if value else "no"
