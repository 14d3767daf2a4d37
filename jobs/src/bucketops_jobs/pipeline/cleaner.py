"""One picture: look at it as it is now, strip it, write it on condition, look again.

A crash after any line leaves either nothing or a picture whose mark says from which source it was made; the next event
or sweep compares that with the source and goes on. An older event never wins: what is read is bound to the ETag that
was seen, and what is written to what stood in its place then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import BinaryIO, cast

from bucketops_api import counts
from bucketops_api.v1alpha1.scalars import parse_quantity
from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError, TransientError
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, Verdict
from bucketops_jobs.pipeline import marks
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.decide import Act, Decision, Seen, decide
from bucketops_jobs.pipeline.marks import Mark
from bucketops_jobs.pipeline.object_views import Views, measure
from bucketops_jobs.s3 import failures
from bucketops_jobs.s3.store import Content, Object
from bucketops_jobs.s3.within import seen as identity

LOOKS = 10
"""How often a picture that changes all the time is looked at before it is put back."""
_IN_MEMORY = 1 << 20
_BLOCK = 1 << 20
"""Bytes."""
_UPLOADERS_WORD = frozenset({"content-type", "content-encoding"})


class Outcome(StrEnum):
    """What became of a picture."""

    PROCESSED = "processed"
    CURRENT = "current"
    REFUSED = "refused"
    """Found out now: there is no clean picture of it, and a note says why."""
    STILL_REFUSED = "stillRefused"
    CONFLICT = "conflicts"
    GONE = "gone"


_SETTLED = {
    Act.NOTHING: Outcome.CURRENT,
    Act.REFUSED: Outcome.STILL_REFUSED,
    Act.CONFLICT: Outcome.CONFLICT,
    Act.GONE: Outcome.GONE,
}


class Cleaner:
    """Brings the destination's picture to what the source's is now. Safe for threads."""

    def __init__(self, context: Context) -> None:
        self._context, self._rules = context, context.rules
        self.views = Views(context)
        self._bare = False
        spec = context.spec
        self._limit = parse_quantity(spec.limits.max_object_bytes)
        self._options = Options(
            orientation=Choice(spec.strip.orientation),
            icc_profile=Choice(spec.strip.icc_profile),
            hdr_gain_map=Choice(spec.strip.hdr_gain_map),
            max_bytes=self._limit,
        )

    def look(self, key: str) -> Seen:
        """The three places as they are now; refusals only where they matter."""
        source, there = self.views.source(key), self.views.destination(key)
        seen = Seen(source, there)
        if decide(seen, self._rules).act is not Act.CLEAN:
            return seen
        return Seen(source, there, self._context.notes.look(key))

    def settle(self, key: str, seen: Seen | None = None) -> Outcome:
        """Until it is done: whatever changes meanwhile is looked at again. `seen`: what a listing has just shown.

        TransientError: not now; ItemError: this one cannot be read or written.
        """
        for _ in range(LOOKS):
            seen = seen or self.look(key)
            decision = decide(seen, self._rules)
            if decision.act is not Act.CLEAN:
                return _SETTLED[decision.act]
            try:
                outcome = self._clean(key, seen, replace(decision, expect=replace(decision.expect, bare=self._bare)))
            except (NotFoundError, PreconditionFailedError) as error:
                seen = self._looked_again(key, seen, decision, error)
                continue
            if outcome is not None:
                return outcome
            seen = None
        raise TransientError(f"{key!r} changes faster than it can be made clean")

    def _looked_again(self, key: str, was: Seen, decision: Decision, error: ItemError) -> Seen:
        """What is there now. If nothing has changed, the server refuses what it shows itself.

        Some servers (Ceph RGW) take an ETag without its quotes alone, so that is tried before ItemError is raised.
        """
        now = self.look(key)
        if _what(now) != _what(was):
            return now
        if decision.expect.etag and not self._bare and isinstance(error, PreconditionFailedError):
            self._bare = True
            return now
        self._bare = False
        raise ItemError(f"{error}: yet nothing has changed, so the server refuses what it shows itself") from error

    def _clean(self, key: str, seen: Seen, decision: Decision) -> Outcome | None:
        """None: something has changed on the way."""
        source = seen.source
        if source is None:
            return Outcome.GONE
        if not source.etag:
            raise ItemError(f"{source.key!r}: the server shows no ETag, so its versions cannot be told apart")
        self.views.require_name(key)
        if source.size > self._limit:
            message = f"it has {source.size} bytes, limits.maxObjectBytes are {self._limit}"
            return self._refuse(key, source, Refusal.TOO_LARGE, message)
        content = self._context.source.get(source.key, etag=source.etag, size=source.size)
        with content.body, tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            sink = cast("BinaryIO", spooled)  # typeshed does not know that it is one
            if content.etag != source.etag:
                return None
            verdict = _stripped(content, sink, self._options, source)
            if verdict.refusal is not None:
                return self._refuse(key, source, verdict.refusal, verdict.message)
            size, md5 = measure(sink)
            mark = Mark(source.etag, self._rules.strip, self._context.pipeline, str(size), md5)
            headers = shown(marks.without(content.headers)) | mark.headers()
            self._context.destination.put(self._context.destination_key(key), sink, headers, decision.expect)
            if not self.views.require_kept(key, sink, mark):
                return None
        self._count(verdict)
        if seen.note:
            self._context.notes.remove(key)
        return Outcome.PROCESSED if self._unchanged(source) else None

    def _refuse(self, key: str, source: Object, reason: Refusal, message: str) -> Outcome | None:
        mark = Mark(source.etag, self._rules.refusal, self._context.pipeline)
        try:
            self._context.notes.write(key, self._context.source.bucket, source, (reason, message), mark)
        except (ItemError, TransientError) as error:
            self._context.tally.add(counts.UNWRITTEN)
            failed = TransientError if isinstance(error, TransientError) else ItemError
            raise failed(f"{reason}, which could not be written down: {error}") from error
        self._context.tally.add(f"{counts.REFUSED}/{reason}")
        self._context.tally.sample(key, "refused", f"{reason}: {message}")
        return Outcome.REFUSED if self._unchanged(source) else None

    def _unchanged(self, source: Object) -> bool:
        """Whoever wrote meanwhile may have been told of by an event that came before we had written."""
        now = self.views.source(source.key.removeprefix(self._context.spec.source.prefix))
        return now is not None and now.etag == source.etag

    def _count(self, verdict: Verdict) -> None:
        tally = self._context.tally
        tally.add("bytesRead", verdict.source_bytes)
        tally.add("bytesWritten", verdict.clean_bytes)
        for loss in verdict.report.losses:
            tally.add(f"loss/{loss}")


def _what(seen: Seen) -> tuple[object, object]:
    """What tells one state of source and destination from another; a listing and HEAD agree on it."""
    there = seen.destination.object if seen.destination else None
    return identity(seen.source), identity(there)


def shown(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a clean picture: its type is what its content is, and no uploader's word counts.

    As `text/html`, a browser would run what is hidden in the coded image, on the origin of the public bucket. A clean
    picture is not compressed, whatever was said of its source.
    """
    kept = {name: value for name, value in given.items() if name not in _UPLOADERS_WORD}
    return kept | {"content-type": "image/jpeg"}


def _stripped(content: Content, sink: BinaryIO, options: Options, source: Object) -> Verdict:
    """A connection that breaks off is no picture that ends too early."""
    what = f"get {source.key!r}"
    try:
        verdict = strip(content.body, sink, options)
        while content.body.read(_BLOCK):  # only its last byte tells whether all of them were right
            pass
    except failures.of_boto3() as error:
        raise failures.translate(error, what) from error
    except OSError as error:
        raise TransientError(f"{what}: {error}") from error
    if verdict.refusal is Refusal.TRUNCATED and verdict.source_bytes < content.size:
        raise TransientError(f"{what}: {verdict.source_bytes} of {content.size} bytes arrived")
    return verdict
