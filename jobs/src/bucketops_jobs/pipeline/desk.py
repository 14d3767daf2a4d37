"""Where events come in and pictures go out: one inbox, as many threads as there are pictures in hand."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping

from bucketops_api import counts
from bucketops_jobs.errors import ItemError, StoppedError, TransientError, UserError
from bucketops_jobs.pipeline.cleaner import Cleaner, Outcome
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.inbox import Done, Inbox, Item
from bucketops_jobs.pipeline.latency import Recent
from bucketops_jobs.pipeline.notices import Notice, share

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Of one event, each with all retries of its requests; then it is left to the sweep."""
DRAIN_SECONDS = 25.0
"""What is in hand or waits may be done so long after the signal; what is left then is left to the sweep."""
_LOOK_SECONDS = 0.2


class Desk:
    """Takes notices and does them. `shared`: every pod is told of everything, so each does its share of the keys."""

    def __init__(self, context: Context, *, shared: bool) -> None:
        self.context, self._shared = context, shared
        self.inbox = Inbox()
        self.listening = False
        self._listened = self._dropping = False
        self._cleaner = Cleaner(context)
        self._recent = Recent()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._error: UserError | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"desk-{number}", daemon=True)
            for number in range(context.spec.worker.concurrency)
        ]
        context.tally.show(self.now)
        for thread in self._threads:
            thread.start()

    def begin(self) -> None:
        """Events are heard from now on. Those since the last time were missed: the operator starts a sweep for them."""
        if self._listened:
            self.context.tally.add(counts.GAPS)
        self._listened = self.listening = True

    def tell(self, notice: Notice, done: Done | None = None) -> bool:
        """Take in what one record says; False when there is no room. What is not ours is done at once."""
        context, prefix = self.context, self.context.spec.source.prefix
        key = notice.key.removeprefix(prefix)
        ours = notice.bucket == context.source.bucket and notice.key.startswith(prefix) and context.matches(key)
        if self._shared and share(key, context.run.shards) != context.shard:
            ours = False
        if not ours or notice.removed:  # removals are the sweep's
            if done:
                done(settled=True)
            return True
        event = notice.at.timestamp() if notice.at else time.time()
        taken = self.inbox.tell(key, time.monotonic(), event, done)
        context.tally.add(counts.EVENTS if taken else counts.DROPPED)
        if not taken:
            with self._lock:
                self._dropping = True
        return taken

    def recover(self) -> None:
        """Events that found no room are one gap, told of when there is plenty.

        What found none after the sweep for it had begun would be nobody's.
        """
        with self._lock:
            if self._dropping and self.inbox.roomy:
                self.context.tally.add(counts.GAPS)
                self._dropping = False

    def now(self) -> Mapping[str, int]:
        """For the metrics."""
        now = time.monotonic()
        return {
            counts.LISTENING: int(self.listening),
            counts.DROPPING: int(self._dropping),
            counts.EVENTS_PENDING: self.inbox.pending,
            counts.OLDEST_PENDING: int(self.inbox.oldest(now)),
            **self._recent.counts(now),
        }

    def close(self) -> None:
        """Finish what is in hand and what waits, as far as there is time; UserError if that ended the work."""
        until = time.monotonic() + DRAIN_SECONDS
        while self.inbox.pending and time.monotonic() < until and self._error is None:
            time.sleep(_LOOK_SECONDS / 4)
        self._closing.set()
        if left := self.inbox.abandon():
            log.warning("stopped before all events were done; the sweep does the rest", extra={"events": left})
        for thread in self._threads:
            thread.join(_LOOK_SECONDS + max(0.0, until - time.monotonic()))
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while not self._closing.is_set():
            item = self.inbox.take(time.monotonic(), _LOOK_SECONDS)
            if item is not None:
                self._do(item)
            if self._dropping:
                self.recover()

    def _do(self, item: Item) -> None:
        try:
            outcome = self._cleaner.settle(item.key)
        except StoppedError:
            self.inbox.end(item, settled=False)
        except UserError as error:
            self._error = error
            self.inbox.end(item, settled=False)
            self.context.engine.stop.set()
        except TransientError as error:
            self._again(item, error)
        except ItemError as error:
            self._failed(item, error)
        except Exception as error:
            log.exception("a picture met an error of ours", extra={"key": item.key})
            self._failed(item, error)
        else:
            self._settled(item, outcome)

    def _settled(self, item: Item, outcome: Outcome) -> None:
        self.context.tally.add(outcome)
        if outcome in {Outcome.PROCESSED, Outcome.REFUSED}:
            self._recent.add(time.monotonic(), time.time() - item.event)
        self.inbox.end(item, settled=True)

    def _again(self, item: Item, error: TransientError) -> None:
        if item.attempt + 1 >= ATTEMPTS or self.context.engine.stop.is_set():
            self._failed(item, error)
        else:
            pause = random.uniform(0.5, 1) * 2**item.attempt  # noqa: S311 - jitter
            self.inbox.again(item, time.monotonic() + pause)

    def _failed(self, item: Item, error: Exception) -> None:
        log.warning("a picture failed; the next sweep tries again", extra={"key": item.key, "why": str(error)})
        self.context.tally.add("failed")
        self.context.tally.sample(item.key, "failed", str(error), first=True)
        self.inbox.end(item, settled=False)
