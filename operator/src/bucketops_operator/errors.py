"""Three kinds of errors, and what happens after each: the user must act, come back later, or try again."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from datetime import timedelta

from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason

_FIRST_RETRY = 1.0
_LAST_RETRY = 30.0
"""What changed before a try that failed is seen by the next one: it waits no longer than this."""
_QUOTA_DELAY = timedelta(seconds=30)
_CONFLICT_DELAY = timedelta(seconds=1)

_FORBIDDEN = 403
CONFLICT = 409
_INVALID = {400, 422}
"""Values of a wrong type are refused as a bad request, wrong values of the right type as unprocessable."""


class StalledError(Exception):
    """The user must act: nothing is tried again before the spec changes, or the slow resync comes by."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason, self.message = reason, MASK.text(message)
        super().__init__(self.message)


class UnreadableStatusError(StalledError):
    """The status of a resource is none that the operator has written, so nothing can be written into it, either."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.CONTRACT_MISMATCH, message)


class WaitingError(Exception):
    """Nothing is wrong: come back after `delay`."""

    def __init__(self, message: str, delay: timedelta) -> None:
        self.message, self.delay = MASK.text(message), delay
        super().__init__(self.message)


class NamespaceEndsError(WaitingError):
    """Nothing can be created in the namespace any more: it is being deleted."""


class ApiError(Exception):
    """The API server refused a request. `message` is its own sentence, which may show what was sent: it is masked."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, MASK.text(message)
        super().__init__(f"{status} {reason}: {self.message}")


class AnswerTooLargeError(Exception):
    """The API server answered with more bytes than the operator holds in memory."""


@dataclass(frozen=True)
class Consequence:
    """What the worker loop does after an error; `delay` None: it waits for a change or the resync."""

    delay: timedelta | None
    level: int
    reason: Reason | None = None
    """The reason of the Warning Event that tells people; None: no Event."""


def consequence(error: Exception, attempt: int, jitter: float | None = None) -> Consequence:
    """Decide about an error of the `attempt`th try in a row (from 1); `jitter` in 0 … 1 is drawn if not given.

    Retries start at 1 s and double up to half a minute, each cut by up to a half, so that many resources that failed
    together do not come back together. One Event tells of the first failed try, not of each.
    """
    if isinstance(error, StalledError):
        return Consequence(None, logging.WARNING, error.reason)
    if isinstance(error, WaitingError):
        return Consequence(error.delay, logging.INFO)
    whole = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** min(attempt - 1, 30))
    share = random.random() if jitter is None else jitter  # noqa: S311 - spreads load, guards nothing
    reason = Reason.RETRYING if attempt == 1 else None
    return Consequence(timedelta(seconds=max(_FIRST_RETRY, whole * (1 - share / 2))), logging.ERROR, reason)


def refusal(error: ApiError, what: str) -> Exception:
    """Turn what the API server says about writing an object into one of the three kinds.

    A quota and a terminating namespace answer 403 as missing rights do; only the text tells them apart:
    https://kubernetes.io/docs/concepts/policy/resource-quotas/
    """
    if error.status == CONFLICT:
        return WaitingError(f"{what}: {error.message}", _CONFLICT_DELAY)
    if error.status in _INVALID:
        return StalledError(Reason.INVALID_SPEC, f"the API server refuses {what}: {error.message}")
    if error.status == _FORBIDDEN and "being terminated" in error.message:
        return NamespaceEndsError(f"{what}: {error.message}", _QUOTA_DELAY)
    if error.status == _FORBIDDEN and "exceeded quota" in error.message:
        return WaitingError(f"{what}: {error.message}", _QUOTA_DELAY)
    if error.status == _FORBIDDEN:
        return StalledError(Reason.ACCESS_DENIED, f"the API server refuses {what}: {error.message}")
    return error
