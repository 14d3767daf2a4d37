"""Proof that a copy holds what its original holds, as the server lists both. Nobody else makes a Proof or a Verified.

What a server answers to a write is a promise; what it lists afterwards is what it keeps. A size alone is no proof, nor
are two ETags that are both empty. Rows are rewritten on a `Proof`. An original is deleted as a `Verified` alone, which
`confirmed` makes of a proof and of one more look at both places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from bucketops_jobs.errors import ItemError
from bucketops_jobs.migration.content import Copied, equal_etags
from bucketops_jobs.migration.lookup import seen
from bucketops_jobs.migration.merge import Entry
from bucketops_jobs.s3.store import Object

_SEAL: Final = object()
"""Whoever does not hold it cannot make a Verified."""
CLOCKS = timedelta(minutes=5)
"""How far the clocks of two servers may be apart (s3/clock.py)."""
Same = Callable[[Object, Object], bool]
"""Whether two objects of the same size have the same content, by whatever requests that takes."""


class Basis(StrEnum):
    """What a proof rests on."""

    ETAG = "equal ETags"
    """Made of the content's MD5, or of those of the same parts."""
    COMPARED = "compared"
    """Checksums or bytes were compared while both had the ETags that they have now."""
    REPLACED = "replaced"
    """A verified copy was there, and the application has written over it since."""
    CHOSEN = "chosen"
    """The destination's own content stays: the user, or a row of the application, says so."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An original and what stands in its place, as they were listed and compared. Made in this module alone."""

    source: Object
    copy: Object
    basis: Basis
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only bucketops_jobs.migration.evidence makes a Proof")


@dataclass(frozen=True, slots=True)
class Verified:
    """A proof that a look right before has confirmed: its original may be deleted. Made in this module alone."""

    proof: Proof
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only bucketops_jobs.migration.evidence makes a Verified")

    @property
    def original(self) -> Object:
        """What may be deleted."""
        return self.proof.source


class DifferentError(ItemError):
    """A copy of ours holds other content than its original; `etag` is the copy's."""

    def __init__(self, message: str, etag: str) -> None:
        super().__init__(message)
        self.etag = etag


class UnknownError(ItemError):
    """What is listed is neither what was written nor equal to the original: nobody knows whose it is."""


def by_listing(source: Object, copied: Copied, listed: Object) -> Proof | ItemError | None:
    """Return what the listing alone says of a copy that was just made; None where contents must be compared."""
    if listed.size != source.size:
        return differs(copied, listed, f"has {listed.size} bytes, its original {source.size}")
    if equal_etags(source, listed):
        return Proof(source, listed, Basis.ETAG, _SEAL)
    if copied.proof and listed.etag == copied.proof:
        return Proof(source, listed, Basis.COMPARED, _SEAL)
    return None


def compared(source: Object, copied: Copied, listed: Object, same: Same) -> Proof | ItemError:
    """Return what a comparison of the contents says of a copy that was just made."""
    if listed.size == source.size and same(source, listed):
        return Proof(source, listed, Basis.COMPARED, _SEAL)
    return differs(copied, listed, "holds other bytes than its original")


def after_copy(source: Object, copied: Copied, listed: Object, same: Same) -> Proof | ItemError:
    """Return what a listing, and where that is not enough a comparison, say of a copy that was just made."""
    return by_listing(source, copied, listed) or compared(source, copied, listed, same)


def differs(copied: Copied, listed: Object, how: str) -> ItemError:
    """Return the error of a copy that is not what it should be: a copy of ours is written anew, another's never."""
    if copied.etag and listed.etag == copied.etag:
        return DifferentError(
            f"the copy {listed.key!r} {how}: it is copied again; if that goes on, the server, a disk or the network "
            "damages what it carries",
            listed.etag,
        )
    return UnknownError(
        f"{listed.key!r} was written, and its listing shows another object, which {how} (ETag {listed.etag or 'none'}, "
        f"answered {copied.etag or 'none'}): the server does not keep what it is given, or somebody else writes there; "
        "compare both, delete the one that is not wanted and set a new trigger"
    )


def doubt(entry: Entry, source: Object, copy: Object) -> str | None:
    """Return why a copy cannot be what the journal speaks of; None where nothing is wrong at first sight.

    Of a copy that the application replaced nobody can tell the content. It counts only if it can be what people expect:
    it is no older than the original, and not empty in place of one that is not.
    """
    if not (source.etag and copy.etag):
        return "the server lists no ETag for it, or for its copy"
    if entry.after is None:
        return None
    if copy.etag == entry.after:
        return None if copy.size == source.size else f"its copy has {copy.size} bytes, it has {source.size}"
    if not copy.size and source.size:
        return "what stands in its copy's place is empty"
    if copy.modified + CLOCKS < source.modified:
        return "what stands in its copy's place is older than the original"
    return None


def recorded(entry: Entry, source: Object, copy: Object) -> Proof | None:
    """Return the proof that the journal and the last look give together; None where contents must be compared."""
    if doubt(entry, source, copy) is not None:
        return None
    if entry.after is None:
        return Proof(source, copy, Basis.CHOSEN, _SEAL)
    if entry.after and copy.etag != entry.after:
        return Proof(source, copy, Basis.REPLACED, _SEAL)
    if equal_etags(source, copy):
        return Proof(source, copy, Basis.ETAG, _SEAL)
    return Proof(source, copy, Basis.COMPARED, _SEAL) if entry.after and entry.verified else None


def anew(source: Object, copy: Object, same: Same) -> Proof | None:
    """Return the proof that a comparison gives now, of what no journal says that it was compared."""
    return Proof(source, copy, Basis.COMPARED, _SEAL) if source.etag and copy.etag and same(source, copy) else None


def confirmed(proof: Proof, source: Object | None, copy: Object | None) -> Verified | None:
    """Return the proof as a Verified if both places are still listed as it has them, else None."""
    if source is None or copy is None:
        return None
    unchanged = seen(source) == seen(proof.source) and seen(copy) == seen(proof.copy)
    return Verified(proof, _SEAL) if unchanged else None
