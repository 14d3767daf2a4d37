"""What becomes of a picture, by what stands in the source, in the destination and among the refusals. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bucketops_jobs.pipeline.marks import Mark
from bucketops_jobs.s3.store import ABSENT, ANYTHING, Expect, Object


class Act(StrEnum):
    """What is to be done."""

    CLEAN = "clean"
    NOTHING = "nothing"
    """The result is there already."""
    REFUSED = "refused"
    """It has been found out already that there is none."""
    CONFLICT = "conflict"
    """Something that no pipeline made is in its place."""
    GONE = "gone"
    """There is no source."""


@dataclass(frozen=True)
class Marked:
    """An object that may be ours."""

    object: Object
    mark: Mark | None
    md5: str = ""
    """Of its content, where the server shows it."""


@dataclass(frozen=True)
class Seen:
    """What stands at one key in the three places."""

    source: Object | None
    destination: Marked | None = None
    note: Marked | None = None


@dataclass(frozen=True)
class Rules:
    """How results must have been made to count."""

    strip: str
    refusal: str
    overwrite: bool
    """Also what no pipeline made."""

    @property
    def all(self) -> str:
        """Whatever decides: what was found out by others must be found out again."""
        return f"{self.refusal}-conflict.{'overwrite' if self.overwrite else 'keep'}"


@dataclass(frozen=True)
class Decision:
    """`expect`: what the destination must still hold when the result is written."""

    act: Act
    expect: Expect = ANYTHING


def decide(seen: Seen, rules: Rules) -> Decision:
    """The same for events and sweeps."""
    source, there = seen.source, seen.destination
    if source is None:
        return Decision(Act.GONE)
    if there and there.mark and _is_result(there.mark, there, source, rules):
        return Decision(Act.NOTHING)
    if there and there.mark is None and not rules.overwrite:
        return Decision(Act.CONFLICT)
    refused = seen.note.mark if seen.note else None
    if source.etag and refused and (refused.source_etag, refused.rules) == (source.etag, rules.refusal):
        return Decision(Act.REFUSED)
    return Decision(Act.CLEAN, Expect(etag=there.object.etag) if there else ABSENT)


def _is_result(mark: Mark, found: Marked, source: Object, rules: Rules) -> bool:
    """Two empty ETags say nothing; nor does the mark of an object that is not what was written, by size and MD5."""
    made = (mark.source_etag, mark.rules) == (source.etag, rules.strip)
    return made and bool(source.etag) and mark.fits(found.object.size, found.md5)


def removable(seen: Seen, pipeline: str) -> bool:
    """Whether a clean picture may go with its source: only what this very pipeline made."""
    mark = seen.destination.mark if seen.destination else None
    return seen.source is None and mark is not None and mark.pipeline == pipeline
