"""What a run knows of a folder, and what it decides about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Folder:
    """One deployment as its listing shows it; `path` stands below the prefix, without a slash at its end."""

    path: str
    objects: int
    bytes: int
    """Of every version that would go."""
    oldest: datetime
    newest: datetime
    live: tuple[datetime, datetime] | None = None
    """The first and the last date of what a reader gets, empty objects that end in a slash left out. None: of all
    entries, for nothing else is there."""
    marker: datetime | None = None
    """The date of the object that `folders.markerKey` names."""
    pinned: bool = False
    """It holds the object that `keep.markerKey` names."""
    referenced_by: tuple[str, ...] = ()
    begun: bool = False
    """An earlier run has deleted a part of it, and nothing has been written to it since."""
    was: Folder | None = None
    """Of one that was begun: as it was then, by a record that only this retention can have written."""
    current: bool = True
    """False: old versions are all that is left of it."""
    content: bool = True
    """Whether a reader gets a single byte from it, not counting the object that `keep.markerKey` names."""

    @property
    def first(self) -> datetime:
        """The date of the oldest object that a reader gets."""
        return self.live[0] if self.live else self.oldest

    @property
    def last(self) -> datetime:
        """The date of the newest object that a reader gets: neither a delete marker nor an old version is an upload."""
        return self.live[1] if self.live else self.newest

    @property
    def deployed(self) -> bool:
        """Whether it is a deployment: what is none never takes the place of one that the rules keep."""
        return self.current and self.content

    @property
    def whole(self) -> Folder:
        """The folder before anything of it was deleted: it is dated, and approved, by what it was then."""
        return self.was or self

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


class Outcome(StrEnum):
    """What becomes of a folder, as the report says it."""

    KEPT = "kept"
    PLANNED = "planned"
    """It would go."""
    DELETED = "deleted"
    SKIPPED = "skipped"
    """It received an object after the plan."""
    FAILED = "failed"
    """Objects of it could not be deleted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about one folder. `rules` are all that speak for it; the first one decides."""

    folder: Folder
    delete: bool
    rules: tuple[str, ...]
    group: str = ""
    date: datetime | None = None
    """What its age counts from; None: unknown."""

    @property
    def rule(self) -> str:
        """The rule that decided."""
        return self.rules[0]


@dataclass(frozen=True)
class Plan:
    """A verdict on every folder seen, in the order of their paths."""

    verdicts: Sequence[Verdict]

    @property
    def seen(self) -> int:
        return len(self.verdicts)

    @property
    def without_content(self) -> list[str]:
        """The paths of the folders that look like deployments and are none."""
        return [
            verdict.folder.path for verdict in self.verdicts if verdict.folder.current and not verdict.folder.content
        ]

    @property
    def condemned(self) -> list[Verdict]:
        """Those that go; what an earlier run has begun comes first."""
        return sorted((v for v in self.verdicts if v.delete), key=lambda v: (not v.folder.begun, v.folder.path))

    @property
    def kept(self) -> Iterator[Verdict]:
        return (verdict for verdict in self.verdicts if not verdict.delete)

    @property
    def objects(self) -> int:
        """Of the folders that go."""
        return sum(verdict.folder.objects for verdict in self.verdicts if verdict.delete)

    @property
    def bytes(self) -> int:
        """Of the folders that go."""
        return sum(verdict.folder.bytes for verdict in self.verdicts if verdict.delete)
