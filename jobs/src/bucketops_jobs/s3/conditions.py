"""Which conditions on writes a server honours, found out on scratch keys: each is tried wrong, and right.

A server that ignores a condition answers 200 to the wrong one; one that misunderstands it answers 412 to the right one
(RGW compares a quoted ETag with a bare one), and whoever believes in it would ask for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from bucketops_jobs.errors import ItemError, PreconditionFailedError
from bucketops_jobs.s3.store import ABSENT, Expect, Object, Store

log = logging.getLogger(__name__)
Write = Callable[[str, Expect], object]
"""Writes to a key if it is as expected."""
WRONG_ETAG = "0" * 32
"""Of no object."""


@dataclass(frozen=True)
class Honoured:
    """What holds for one kind of write."""

    if_absent: bool = False
    if_match: bool = False
    bare: bool = False
    """Whether If-Match holds for an ETag without quotes alone."""

    def holds(self, expect: Expect) -> bool:
        """Whether this expectation is one that the server looks at."""
        return self.if_absent if expect.absent else self.if_match if expect.etag else True

    def said(self, expect: Expect) -> Expect:
        """Return the expectation as this server understands it."""
        return replace(expect, bare=self.bare) if expect.etag else expect


def probe(store: Store, write: Write, present: str, absent: str) -> Honoured:
    """Try one kind of write; `present` is a key with an object, at `absent` there is none yet, and may be one then."""
    if_absent = _refused(write, present, ABSENT) and _taken(write, absent, ABSENT)
    for bare in (False, True):
        if _matches(store, write, present, bare=bare):
            return Honoured(if_absent, if_match=True, bare=bare)
    return Honoured(if_absent)


def deletes(store: Store, scratch: Object) -> bool:
    """Whether a deletion looks at If-Match; the scratch object is gone then."""
    remaining = store.delete([scratch._replace(etag=WRONG_ETAG)], conditional=True)
    if scratch.key not in remaining or store.head(scratch.key) is None:
        return False
    return not store.delete([scratch], conditional=True) and store.head(scratch.key) is None


def _matches(store: Store, write: Write, key: str, *, bare: bool) -> bool:
    there = store.head(key)
    if there is None or not there.etag:
        return False
    wrong, right = (Expect(etag=etag, bare=bare) for etag in (WRONG_ETAG, there.etag))
    return _refused(write, key, wrong) and _taken(write, key, right)


def _refused(write: Write, key: str, expect: Expect) -> bool:
    try:
        write(key, expect)
    except PreconditionFailedError:
        return True
    except ItemError as error:
        log.info("a probed condition is not supported: %s", error)
    return False


def _taken(write: Write, key: str, expect: Expect) -> bool:
    try:
        write(key, expect)
    except ItemError as error:
        log.info("a condition that holds is refused: %s", error)
        return False
    return True
