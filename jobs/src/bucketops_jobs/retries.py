"""Whether and when to try again: attempts per request, full jitter, and a budget so that a dead server is spared.

The rules are those of the AWS SDKs' standard mode, but an empty budget first makes wait where theirs gives up:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

import random
import threading

from bucketops_jobs.errors import OddAnswerError, TransientError, WorkerError

ATTEMPTS = 10
"""Of one request."""
ODD_ATTEMPTS = 6
"""Of one whose answer is none of S3's: who gives it once by accident does not do so for three seconds."""
FIRST_PAUSE = 0.1
"""Seconds, at most; doubled with each attempt."""
FIRST_PAUSE_THROTTLED = 0.5
LONGEST_PAUSE = 10.0
BUDGET = 100.0
"""Retries that a healthy server has to its credit."""
PER_ANSWER = 2.0
"""Retries that one answer earns: more than one, so that a server that answers again is soon asked by all who wait."""
PER_SECOND = 1.0
"""Retries that time earns: a dead server is asked this often …"""
DEAD_SECONDS = 30.0
"""… until it has answered nobody for so long: then every error is final, and the run ends to be tried again later."""


def pause(attempt: int, error: TransientError) -> float:
    """Seconds until the next attempt after `attempt` (from 0) has failed: anything up to a bound that doubles.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    first = FIRST_PAUSE_THROTTLED if error.throttled else FIRST_PAUSE
    return random.uniform(0, min(LONGEST_PAUSE, first * 2**attempt))  # noqa: S311 - jitter


def is_last(attempt: int, error: TransientError) -> bool:
    """Whether nothing is tried after `attempt` (from 0) has failed so."""
    most = min(ATTEMPTS, ODD_ATTEMPTS) if isinstance(error, OddAnswerError) else ATTEMPTS
    return attempt >= most - 1


def final(error: TransientError) -> WorkerError:
    """Return what an error means after the last attempt."""
    return error.final if isinstance(error, OddAnswerError) else error


class Budget:
    """The retries of one worker; safe for threads."""

    def __init__(self, now: float) -> None:
        self._left = BUDGET
        self._then = now
        self._failing_since: float | None = None
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A request has been answered."""
        with self._lock:
            self._left = min(BUDGET, self._left + PER_ANSWER)
            self._failing_since = None

    def spend(self, now: float) -> float:
        """Take one retry; or, where none is left, return the seconds until time alone has earned one."""
        with self._lock:
            elapsed, self._then = max(0.0, now - self._then), max(now, self._then)
            self._left = min(BUDGET, self._left + elapsed * PER_SECOND)
            if self._left < 1:
                return (1 - self._left) / PER_SECOND
            self._left -= 1
            return 0.0

    def failed(self, now: float) -> None:
        """A request has failed in a way that another time might not."""
        with self._lock:
            if self._failing_since is None:
                self._failing_since = now

    def hopeless(self, now: float) -> bool:
        """Whether nobody has had an answer for so long that no retry makes sense."""
        since = self._failing_since
        return since is not None and now - since > DEAD_SECONDS
