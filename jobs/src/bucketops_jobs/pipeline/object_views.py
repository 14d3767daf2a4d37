"""The two places of pictures as they are now: HEAD, and for names that servers change the listing alone."""

from __future__ import annotations

import hashlib
import secrets
import threading
from typing import BinaryIO

from bucketops_jobs.errors import ItemError
from bucketops_jobs.pipeline import marks
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.decide import Marked
from bucketops_jobs.s3 import keyprobe
from bucketops_jobs.s3.keyforms import forms, plain
from bucketops_jobs.s3.places import SCRATCH
from bucketops_jobs.s3.store import Object
from bucketops_jobs.s3.within import listed, seen

_BLOCK = 1 << 20
"""Bytes."""


class Views:
    """Safe for threads. Keys are relative."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._renamed: frozenset[str] | None = None

    def source(self, key: str) -> Object | None:
        """The original."""
        name = self._context.source_key(key)
        if plain(name):
            return self._context.source.head(name)
        return listed(self._context.source, self._context.spec.source.prefix, key)

    def destination(self, key: str) -> Marked | None:
        """What stands in the clean picture's place, with its mark."""
        name = self._context.destination_key(key)
        found = self._context.destination.describe(name)
        if found is None or not (plain(name) or self._is_listed(key, found.object)):
            return None
        return Marked(found.object, marks.read(found.headers), found.md5)

    def _is_listed(self, key: str, found: Object) -> bool:
        return seen(listed(self._context.destination, self._context.spec.destination.prefix, key)) == seen(found)

    def require_name(self, key: str) -> None:
        """ItemError where the server would keep a clean picture under another name, which may be another picture's."""
        if changed := forms(self._context.destination_key(key)) & self._changed_names(key):
            raise ItemError(
                f"{key!r}: the destination server keeps keys with {' and '.join(sorted(changed))} under another name, "
                "or not at all: rename the picture"
            )

    def _changed_names(self, key: str) -> frozenset[str]:
        """The server is asked once, when the first name comes that matters."""
        if plain(self._context.destination_key(key)):
            return frozenset()
        with self._lock:
            if self._renamed is None:
                folder = f"{SCRATCH}scratch-{secrets.token_hex(8)}/"
                self._renamed = frozenset(keyprobe.changed(self._context.destination, folder))
            return self._renamed

    def require_kept(self, key: str, body: BinaryIO, mark: marks.Mark) -> bool:
        """Whether what was written is what is there; False: another has written since. ItemError: it is not kept."""
        found = self.destination(key)
        if found is not None and found.mark is not None and found.mark != mark:
            return False
        size, md5 = (int(mark.bytes), mark.md5) if mark.md5 else measure(body)
        kept = found is not None and found.object.size == size and self._holds(found.object, md5)
        if found is not None and found.mark is None:
            if not kept:
                return False
            raise ItemError(
                f"{key!r}: a clean picture was written, and the destination's server keeps no user metadata with it, "
                "which says what it was made of: use a server that does"
            )
        if not kept:
            now = f"{found.object.size} bytes, ETag {found.object.etag or 'none'}" if found else "nothing there"
            raise ItemError(
                f"{key!r}: a clean picture of {size} bytes was written, and the destination's server keeps something "
                f"else ({now})"
            )
        return True

    def _holds(self, found: Object, md5: str) -> bool:
        """By the ETag if it is an MD5, else by the bytes."""
        if found.etag == md5:
            return True
        with self._context.destination.get(found.key, etag=found.etag).body as body:
            return _measure_stream(body) == md5


def measure(body: BinaryIO) -> tuple[int, str]:
    """Bytes and MD5 of a file."""
    body.seek(0)
    md5 = _measure_stream(body)
    return body.tell(), md5


def _measure_stream(body: BinaryIO) -> str:
    hasher = hashlib.md5(usedforsecurity=False)
    while block := body.read(_BLOCK):
        hasher.update(block)
    return hasher.hexdigest()
