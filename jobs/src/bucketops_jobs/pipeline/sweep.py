"""Both listings merged in key order: whatever events missed is done, and refusals of what is gone are forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bucketops_api import counts, names
from bucketops_api.contract import RunResult
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import StoppedError
from bucketops_jobs.pipeline import checks, looked, plan
from bucketops_jobs.pipeline.cleaner import Cleaner, Outcome
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.decide import Act, Seen, decide
from bucketops_jobs.pipeline.looked import Memory
from bucketops_jobs.pipeline.pairs import Pair, walk
from bucketops_jobs.pipeline.removal import Removal
from bucketops_jobs.shards import Range

CHUNK = 500
MARGIN = timedelta(hours=1)
"""So much earlier than the last sweep began, what has changed since is looked into again: clocks differ."""
_SWEPT = "swept.json"


@dataclass(frozen=True)
class Swept:
    """The last sweep that came to its end: when it began, and when the last one began that looked into all."""

    began: datetime
    verified: datetime
    rules: str


def run(context: Context) -> RunResult:
    """One shard of a sweep; a scheduled sweep has one alone."""
    began = datetime.now(UTC)
    checks.require(context)
    found = checks.capabilities(context)
    whole = context.run.shards == 1
    within = Range()
    if not whole:
        agreed = plan.agreed(context)
        within = agreed.within(context.shard)
        context.tally.add("total", agreed.total if context.shard == 0 else 0)
    cleaner = Cleaner(context)
    removal = Removal(context, cleaner, conditional=found.delete_if_match)
    known = _last(context) if whole else None
    remembers = whole and not context.run.changed_since
    memory = looked.read(context)
    since = _since(context, known, began)
    _Sweep(context, cleaner, removal, memory, (since, began - MARGIN)).run(within)
    if whole and context.spec.on_source_delete == "Delete":
        removal.run()
    if remembers and not context.tally.counts["failed"]:
        looked.write(context, memory)
        _remember(context, Swept(began, known.verified if known and since else began, context.rules.all))
    return context.tally.result()


class _Sweep:
    """The walk of one shard. `since`: from when on changes are looked into, now and by the next sweep."""

    def __init__(
        self,
        context: Context,
        cleaner: Cleaner,
        removal: Removal,
        memory: Memory,
        since: tuple[datetime | None, datetime],
    ) -> None:
        self._context, self._cleaner, self._removal, self._memory = context, cleaner, removal, memory
        self._since, self._next = since

    def run(self, within: Range) -> None:
        pairs = (pair for pair in walk(self._context, within) if self._context.matches(pair.key))
        for chunk in self._context.engine.chunks(pairs, CHUNK):
            doubtful = self._doubtful(chunk)
            answers = self._context.engine.map(self._settle, doubtful)
            for pair, answer in zip(doubtful, answers, strict=True):
                self._count(pair, answer)
            self._count_all(chunk)

    def _doubtful(self, chunk: Iterable[Pair]) -> list[Pair]:
        """What must be looked into; all others are counted."""
        doubtful, believed = [], Counter[Outcome]()
        for pair in chunk:
            if pair.source is None:
                self._orphan(pair)
            elif (outcome := self._believed(pair)) is None:
                doubtful.append(pair)
            else:
                believed[outcome] += 1
                self._sample(pair, outcome)
        for outcome, amount in believed.items():
            self._context.tally.add(outcome, amount)
        return doubtful

    def _believed(self, pair: Pair) -> Outcome | None:
        """What is known of it without a look: dates alone never say that a key was settled, only a former look does."""
        if self._since is None or (pair.destination is None and pair.note is None):
            return None
        if self._memory.conflicts.knows(*pair.etags):
            return Outcome.CONFLICT
        if pair.changed >= self._since and not self._memory.settled.knows(*pair.etags):
            return None
        return Outcome.STILL_REFUSED if pair.note else Outcome.CURRENT

    def _orphan(self, pair: Pair) -> None:
        if pair.destination is not None:
            self._removal.add(pair.key)
        if pair.note is not None and self._cleaner.views.source(pair.key) is None:
            self._context.notes.remove(pair.key)

    def _settle(self, pair: Pair) -> tuple[Outcome, bool]:
        """What became of it, and whether the listing showed just that.

        A listing is believed where every write depends on what it showed.
        """
        listed = pair.destination is None and pair.note is None
        seen = Seen(pair.source) if listed else self._cleaner.look(pair.key)
        outcome = self._cleaner.settle(pair.key, seen)
        if outcome is Outcome.CURRENT and pair.note:  # whoever wrote the clean picture was killed right afterwards
            self._context.notes.remove(pair.key)
            return outcome, False
        return outcome, decide(seen, self._context.rules).act is not Act.CLEAN and _as_listed(seen, pair)

    def _count(self, pair: Pair, answer: tuple[Outcome, bool] | Exception) -> None:
        tally = self._context.tally
        if isinstance(answer, StoppedError):
            raise answer
        if isinstance(answer, Exception):
            tally.add("failed")
            tally.sample(pair.key, "failed", str(answer), first=True)
            return
        outcome, as_listed = answer
        tally.add(outcome)
        self._sample(pair, outcome)
        if as_listed:
            self._keep(pair, outcome)

    def _sample(self, pair: Pair, outcome: Outcome) -> None:
        if outcome is Outcome.CONFLICT:
            message = "the destination holds an object that no pipeline made"
            self._context.tally.sample(pair.key, "conflict", message, first=True)

    def _keep(self, pair: Pair, outcome: Outcome) -> None:
        """What is settled and older is believed by its dates."""
        if outcome is Outcome.CONFLICT:
            self._memory.conflicts.add(*pair.etags)
        elif outcome in {Outcome.CURRENT, Outcome.STILL_REFUSED} and pair.changed >= self._next:
            self._memory.settled.add(*pair.etags)

    def _count_all(self, chunk: Iterable[Pair]) -> None:
        pictures = sum(pair.source is not None for pair in chunk)
        self._removal.pictures += sum(pair.destination is not None for pair in chunk)
        self._context.tally.add(counts.DONE, pictures)
        self._context.tally.add("pictures", pictures)
        if self._context.run.shards == 1:
            self._context.tally.add("total", pictures)


def _as_listed(seen: Seen, pair: Pair) -> bool:
    """Whether the look found what the listing showed; a note counts where it is what was decided by."""
    source, destination = seen.source, seen.destination.object if seen.destination else None
    pairs = [(source, pair.source), (destination, pair.destination)]
    if seen.note:
        pairs.append((seen.note.object, pair.note))
    return all((one.etag if one else "") == (other.etag if other else "") for one, other in pairs)


def _since(context: Context, known: Swept | None, now: datetime) -> datetime | None:
    """From when on changes are looked into; None: everything is, as in each run by hand."""
    if context.run.changed_since:
        return context.run.changed_since - MARGIN
    scheduled = context.run.run.startswith(names.schedule_name(context.run.name))
    every = parse_duration(context.spec.sweep.verify_every)
    if not scheduled or known is None or known.rules != context.rules.all or now - known.verified >= every:
        return None
    return known.began - MARGIN


def _last(context: Context) -> Swept | None:
    return swept(context.records.note(_SWEPT))


def swept(found: Mapping[str, Any]) -> Swept | None:
    """The sweep that a record tells of; None where it tells of none: others may write there."""
    try:
        began, verified = (datetime.fromisoformat(found[name]) for name in ("began", "verified"))
        rules = str(found["rules"])
    except (LookupError, TypeError, ValueError):
        return None
    return None if began.tzinfo is None or verified.tzinfo is None else Swept(began, verified, rules)


def _remember(context: Context, swept: Swept) -> None:
    content = {"began": swept.began.isoformat(), "verified": swept.verified.isoformat(), "rules": swept.rules}
    context.records.write_json(_SWEPT, content)
