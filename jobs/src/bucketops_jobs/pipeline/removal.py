"""Clean pictures whose source is gone: they go in a sweep alone, for only a sweep knows what share of all they are."""

from __future__ import annotations

from bucketops_api import counts
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import NotFoundError, PreconditionFailedError, UserError
from bucketops_jobs.pipeline.cleaner import Cleaner
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.decide import removable
from bucketops_jobs.spool import Spool

_CHUNK = 500


class Removal:
    """Takes in candidates while the listings are merged; deletes them afterwards, if the guard lets it."""

    def __init__(self, context: Context, cleaner: Cleaner, *, conditional: bool) -> None:
        self._context, self._cleaner, self._conditional = context, cleaner, conditional
        self._spool = Spool()
        self._candidates = 0
        self.pictures = 0
        """In the destination."""

    def add(self, key: str) -> None:
        """A clean picture that has no source, by the listings."""
        self._candidates += 1
        self._spool.add((key,))

    def run(self) -> None:
        """Delete them; UserError, and nothing is deleted, when they are too many."""
        most = self._context.spec.guards.max_delete_percent
        if self._candidates * 100 > most * self.pictures:
            raise UserError(
                Reason.GUARD_EXCEEDED,
                f"{self._candidates} of {self.pictures} clean pictures have no source any more, which is more than "
                f"guards.maxDeletePercent: {most}, so none was deleted; everything else was swept. If they are to go, "
                "raise it for one sweep",
            )
        for chunk in self._context.engine.chunks((key for (key,) in self._spool), _CHUNK):
            for answer in self._context.engine.map(self._remove, chunk):
                if isinstance(answer, Exception):
                    self._context.tally.add("failed")
                else:
                    self._context.tally.add(counts.DELETED, int(answer))

    def _remove(self, key: str) -> bool:
        """Only what we made, after the source's key itself has answered that it is not there; then look again."""
        seen = self._cleaner.look(key)
        if not removable(seen, self._context.pipeline) or seen.destination is None:
            return False
        left = self._context.destination.delete([seen.destination.object], conditional=self._conditional)
        for error in left.values():
            if isinstance(error, NotFoundError | PreconditionFailedError):
                return False
            raise error
        self._cleaner.settle(key)  # it may have been uploaded again right before
        return True
