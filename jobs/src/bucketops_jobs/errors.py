"""What can go wrong in a worker, by what must be done about it.

UserError: the user must change something (exit 64). ShardError: this shard cannot succeed (exit 65).
ItemError: one object or row; counted, reported, the run goes on. TransientError: try again.
"""

from __future__ import annotations

from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason

ASK = "ask who runs the server, or a proxy before it, to mend it, then set a new trigger"
"""What to do about an answer that is none of S3's."""


class WorkerError(Exception):
    """Base of all; the message says what happened, to which object, and what to do next. It shows no secret."""

    def __str__(self) -> str:
        """Masked when it is asked for: most errors of single requests never are."""
        return MASK.text(super().__str__())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class UserError(WorkerError):
    """The user must change something before any retry makes sense."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ShardError(WorkerError):
    """The shard cannot succeed whatever is retried."""


class StoppedError(WorkerError):
    """The worker was told to stop (SIGTERM); its work is safe and goes on in the next attempt."""


class TransientError(WorkerError):
    """The same call may succeed later."""

    def __init__(self, message: str, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.throttled = throttled


class OddAnswerError(TransientError):
    """An answer that S3 never gives: asked for again within seconds, a few times; after that it is `final`."""

    def __init__(self, message: str, final: WorkerError | None = None) -> None:
        super().__init__(message)
        self.final = final or ItemError(message)


class UnreachableError(TransientError):
    """Nobody answers at the endpoint."""


class ItemError(WorkerError):
    """One object or row failed; the message says why."""


class NotFoundError(ItemError):
    """The object does not exist."""


class PreconditionFailedError(ItemError):
    """The object is not (or no longer) what the caller expected: HTTP 412."""


class TooLargeError(ItemError):
    """The body is larger than what is held in memory."""


class OtherBytesError(ItemError):
    """An object's bytes are not those that its server says: something on the way, or a disk, changes them."""


class NotSupportedError(ItemError):
    """The server does not know this call: HTTP 501 or 405."""


class DeniedError(ItemError):
    """The store refused the call: HTTP 403."""


class DatabaseError(WorkerError):
    """The database refused a statement for these rows; `transient` ones may succeed later, `locked` ones are held."""

    def __init__(self, message: str, *, transient: bool = False, locked: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.locked = locked


class DatabaseUnreachableError(DatabaseError):
    """Nobody answers, or somebody who may not write (a replica): a restart or a failover, if it was right before."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class DatabaseReadOnlyError(DatabaseUnreachableError):
    """Whoever answers takes no writes: a primary that has just been demoted, or a role that may only read."""
