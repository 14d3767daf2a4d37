"""What may be asked for, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bucketops_jobs.errors import ItemError


class Choice(StrEnum):
    """What becomes of something that belongs to the look of a picture."""

    KEEP = "Keep"
    DROP = "Drop"
    ROTATE = "Rotate"
    """Of the orientation alone: the coded image itself is turned, where that is possible without loss."""


@dataclass(frozen=True)
class Options:
    """As `spec.strip` and `spec.limits` of an ExifPipeline name them; sizes are in bytes."""

    orientation: Choice = Choice.KEEP
    icc_profile: Choice = Choice.KEEP
    hdr_gain_map: Choice = Choice.DROP
    max_bytes: int = 512 << 20
    max_header_bytes: int = 64 << 20
    """Of all segments together; scans do not count."""
    max_segments: int = 10_000


class Refusal(StrEnum):
    """Why nothing is written."""

    EMPTY = "Empty"
    NOT_JPEG = "NotJpeg"
    TOO_LARGE = "TooLarge"
    HEADER_TOO_LARGE = "HeaderTooLarge"
    TOO_MANY_SEGMENTS = "TooManySegments"
    TRUNCATED = "Truncated"
    CORRUPT_SEGMENT = "CorruptSegment"
    CORRUPT_SCAN = "CorruptScan"
    NO_IMAGE = "NoImage"
    UNSUPPORTED = "Unsupported"
    NOT_CLEAN = "NotClean"


class RefusedError(ItemError):
    """The content cannot be made clean; the message says why, for people."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Amount:
    """How often something occurred, and its bytes, markers and lengths included."""

    count: int = 0
    bytes: int = 0


Amounts = dict[str, Amount]


@dataclass
class Report:
    """What was met on the way; kinds are those of metadata.py and header.py."""

    removed: Amounts = field(default_factory=dict)
    kept: Amounts = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)
    """What people may miss: hdr_dropped, colorspace_dropped, icc_invalid, icc_dropped, orientation_dropped, and of
    rotate.Obstacle why a picture was not turned."""
    orientation: int = 1
    """As EXIF counts it, 1 to 8: what the source asks its viewers for."""
    rotated: bool = False
    """Whether the result is upright by itself. What is `kept` of the coded image counts as it came."""

    def remove(self, kind: str, size: int, count: int = 1) -> None:
        """Count something that does not reach the result."""
        _add(self.removed, kind, size, count)

    def keep(self, kind: str, size: int) -> None:
        """Count something that reaches the result."""
        _add(self.kept, kind, size, 1)


def _add(amounts: Amounts, kind: str, size: int, count: int) -> None:
    amount = amounts.get(kind)
    if amount is None:
        amount = amounts[kind] = Amount()
    amount.count += count
    amount.bytes += size


@dataclass(frozen=True)
class Verdict:
    """The answer for one picture. `refusal` is None when the sink holds a clean one."""

    refusal: Refusal | None
    message: str
    report: Report
    source_bytes: int
    """Read from the source; of a refused one perhaps not all."""
    clean_bytes: int = 0
    coded_crc32: int = 0
    """Of the coded image alone (tables, frame, scans): equal before and after, whatever metadata there was, unless it
    was rotated."""

    @property
    def clean(self) -> bool:
        """Whether there is a result."""
        return self.refusal is None
