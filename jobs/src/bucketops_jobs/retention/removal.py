"""Removes folders: looked at again right before, entry points first, then everything else in parallel batches.

A folder's record is written before its first object goes and removed once a listing shows that nothing is left.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bucketops_jobs.errors import TransientError
from bucketops_jobs.retention.batches import Batches, Refused
from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.folders import Folder, Outcome, Verdict
from bucketops_jobs.retention.journal import Journal
from bucketops_jobs.retention.places import Entry, is_latest

log = logging.getLogger(__name__)

ENTRY_POINTS = frozenset(
    {"index.html", "index.htm", "index.php", "manifest.json", "asset-manifest.json", "remoteEntry.js", "sw.js"}
    | {"service-worker.js", "version.json"}
)
"""What a browser asks for first: once these are gone nobody begins to use the folder, and nobody sees half of it."""
IN_MEMORY = 5000
"""Entries of a folder that are kept from the last look; a larger folder is listed once more."""
MOST_ENTRY_POINTS = 1000


@dataclass
class Look:
    """A folder right before its deletion."""

    objects: int = 0
    received: bool = False
    """Something was written to it after the plan."""
    first: list[Entry] = field(default_factory=list)
    rest: list[Entry] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every entry is in memory."""
        return len(self.first) + len(self.rest) == self.objects


@dataclass(frozen=True)
class Removed:
    """What became of one condemned folder."""

    verdict: Verdict
    outcome: Outcome
    message: str = ""


class ReceivedError(Exception):
    """The folder received an object while it was being deleted."""


class Removal:
    """Removes condemned folders, several at once; their batches share one pool."""

    def __init__(self, context: Context, journal: Journal, batches: Batches) -> None:
        self._context, self._journal, self._batches = context, journal, batches

    def run(self, condemned: Sequence[Verdict]) -> list[Removed]:
        """What became of each. An error of the store comes after all others have had their turn: a retry goes on."""
        answers = self._context.engine.map(self._one, condemned)
        self._context.engine.require_going()
        for answer in answers:
            if isinstance(answer, TransientError):
                raise answer
        return [self._answer(verdict, answer) for verdict, answer in zip(condemned, answers, strict=True)]

    def _answer(self, verdict: Verdict, answer: Removed | Exception) -> Removed:
        if isinstance(answer, Removed):
            return answer
        self._context.tally.sample(verdict.folder.path, Outcome.FAILED, str(answer), first=True)
        return Removed(verdict, Outcome.FAILED, str(answer))

    def _one(self, verdict: Verdict) -> Removed:
        self._context.engine.pace.refresh()
        folder, tally = verdict.folder, self._context.tally
        look = self._look(folder)
        if look.received:
            return self._skipped(verdict, "it received an object after the plan")
        try:
            failed = self._delete(folder, look) if look.objects else 0
        except ReceivedError:
            return self._skipped(verdict, "it received an object while it was being deleted: look whether it is whole")
        if failed:
            return Removed(verdict, Outcome.FAILED, f"{failed} objects could not be deleted; see status.samples")
        self._journal.end(folder.path)
        tally.add("foldersDeleted")
        log.info("folder deleted", extra={"folder": folder.path, "objects": look.objects, "rule": verdict.rule})
        return Removed(verdict, Outcome.DELETED)

    def _skipped(self, verdict: Verdict, why: str) -> Removed:
        self._context.tally.sample(verdict.folder.path, Outcome.SKIPPED, why, first=True)
        return Removed(verdict, Outcome.SKIPPED, why)

    def _look(self, folder: Folder) -> Look:
        look = Look()
        for entry in self._context.place.entries(folder.path):
            look.objects += 1
            if _is_news(entry, folder, look.objects):
                return Look(received=True)
            if is_entry_point(entry.key) and len(look.first) < MOST_ENTRY_POINTS:
                look.first.append(entry)
            elif len(look.rest) < IN_MEMORY:
                look.rest.append(entry)
        look.first.sort(key=lambda entry: entry.key.count("/"))
        return look

    def _delete(self, folder: Folder, look: Look) -> int:
        """How many entries could not be deleted."""
        self._journal.begin(folder)
        failed = self._emptied(lambda: look.first)
        sent = {(entry.key, getattr(entry, "version", None)) for entry in look.first}
        failed += self._emptied(lambda: look.rest if look.whole else self._again(folder, sent))
        return failed or self._left(folder)

    def _emptied(self, entries: Callable[[], Iterable[Entry]]) -> int:
        """How many entries could not be deleted. Of each key the latest goes last, and only where nothing is below it.

        Else a crash, or a version under a lock, would have readers get again what was deleted or replaced long ago.
        """
        failed = Refused()
        if self._context.spec.versions == "All":
            failed = self._batches.delete(entry for entry in entries() if not is_latest(entry))
        last = (entry for entry in entries() if is_latest(entry) and not failed.may_hold(entry.key))
        return failed.count + self._batches.delete(last).count

    def _again(self, folder: Folder, sent: Iterable[object]) -> Iterator[Entry]:
        """A large folder, listed while its batches are on their way."""
        for number, entry in enumerate(self._context.place.entries(folder.path), start=1):
            if _is_news(entry, folder, number):
                raise ReceivedError
            if (entry.key, getattr(entry, "version", None)) not in sent:
                yield entry

    def _left(self, folder: Folder) -> int:
        """What a last listing still shows. Old entries that were hidden before are the next run's."""
        left = list(itertools.islice(self._context.place.entries(folder.path), MOST_ENTRY_POINTS))
        if any(entry.modified > folder.newest for entry in left):
            raise ReceivedError
        for entry in left[:1]:
            self._context.tally.sample(entry.key, Outcome.FAILED, "it is still there after its deletion", first=True)
        return len(left)


def is_entry_point(key: str) -> bool:
    """Whether a browser asks for such an object first."""
    return key.rpartition("/")[2] in ENTRY_POINTS


def _is_news(entry: Entry, folder: Folder, number: int) -> bool:
    """Newer than all that the plan saw, or one more than it saw."""
    return entry.modified > folder.newest or number > folder.objects
