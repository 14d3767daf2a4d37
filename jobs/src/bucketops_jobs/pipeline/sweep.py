"""Both listings merged in key order: whatever events missed is done, and refusals of what is gone are forgotten."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from bucketops_api import counts, names
from bucketops_api.contract import RunResult
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.errors import NotFoundError, StoppedError
from bucketops_jobs.pipeline import checks, looked, plan
from bucketops_jobs.pipeline.cleaner import Cleaner, Outcome
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.decide import Act, Seen, decide
from bucketops_jobs.pipeline.looked import Looked
from bucketops_jobs.pipeline.removal import Removal
from bucketops_jobs.s3.store import Object
from bucketops_jobs.s3.within import listing
from bucketops_jobs.shards import Range

CHUNK = 500
MARGIN = timedelta(hours=1)
"""So much earlier than the last sweep began, what has changed since is looked into again: clocks differ."""
_SWEPT = "swept.json"
_SOURCE, _DESTINATION, _NOTE = range(3)


@dataclass(frozen=True)
class Pair:
    """What the listings show of one key."""

    key: str
    source: Object | None
    destination: Object | None
    note: Object | None


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
    settled = looked.read(context) if remembers else Looked(context.rules.strip)
    since = _since(context, known, began)
    _Sweep(context, cleaner, removal, settled, (since, began - MARGIN)).run(within)
    if whole and context.spec.on_source_delete == "Delete":
        removal.run()
    if remembers and not context.tally.counts["failed"]:
        looked.write(context, settled)
        _remember(context, Swept(began, known.verified if known and since else began, context.rules.strip))
    return context.tally.result()


class _Sweep:
    """The walk of one shard. `since`: from when on changes are looked into, now and by the next sweep."""

    def __init__(
        self,
        context: Context,
        cleaner: Cleaner,
        removal: Removal,
        settled: Looked,
        since: tuple[datetime | None, datetime],
    ) -> None:
        self._context, self._cleaner, self._removal, self._settled = context, cleaner, removal, settled
        self._since, self._next = since

    def run(self, within: Range) -> None:
        pairs = (pair for pair in walk(self._context, within) if self._context.matches(pair.key))
        for chunk in self._context.engine.chunks(pairs, CHUNK):
            doubtful = [pair for pair in chunk if self._doubtful(pair)]
            answers = self._context.engine.map(self._settle, doubtful)
            for pair, answer in zip(doubtful, answers, strict=True):
                self._count(pair, answer)
            self._count_all(chunk, len(doubtful))

    def _doubtful(self, pair: Pair) -> bool:
        """Whether a look into it is needed: dates alone never say that a pair was settled, only a former look does."""
        if pair.source is None:
            self._orphan(pair)
            return False
        if pair.destination is None or pair.note is not None or self._since is None:
            return True
        recent = max(pair.source.modified, pair.destination.modified) >= self._since
        return recent and not self._settled.knows(pair.key, pair.source.etag, pair.destination.etag)

    def _orphan(self, pair: Pair) -> None:
        if pair.destination is not None:
            self._removal.add(pair.key)
        if pair.note is not None and self._context.source.head(self._context.source_key(pair.key)) is None:
            self._context.notes.remove(pair.key)

    def _settle(self, pair: Pair) -> tuple[Outcome, bool]:
        """What became of it, and whether what the listing showed was settled.

        A listing is believed where every write depends on what it showed.
        """
        listed = pair.destination is None and pair.note is None
        seen = Seen(pair.source) if listed else self._cleaner.look(pair.key)
        settled = decide(seen, self._context.rules).act is Act.NOTHING and _etags(seen) == _listed(pair)
        return self._cleaner.settle(pair.key, seen), settled

    def _count(self, pair: Pair, answer: tuple[Outcome, bool] | Exception) -> None:
        tally = self._context.tally
        if isinstance(answer, StoppedError):
            raise answer
        if isinstance(answer, Exception):
            tally.add("failed")
            tally.sample(pair.key, "failed", str(answer), first=True)
            return
        outcome, settled = answer
        tally.add(outcome)
        if settled and pair.source and pair.destination:
            self._keep(pair.key, pair.source, pair.destination)
        if outcome is Outcome.CONFLICT:
            tally.sample(pair.key, "conflict", "the destination holds an object that no pipeline made", first=True)

    def _keep(self, key: str, source: Object, destination: Object) -> None:
        """What is older is believed by its dates."""
        if max(source.modified, destination.modified) >= self._next:
            self._settled.add(key, source.etag, destination.etag)

    def _count_all(self, chunk: Iterable[Pair], doubtful: int) -> None:
        pictures = sum(pair.source is not None for pair in chunk)
        self._removal.pictures += sum(pair.destination is not None for pair in chunk)
        self._context.tally.add(counts.DONE, pictures)
        self._context.tally.add("pictures", pictures)
        self._context.tally.add(Outcome.CURRENT, pictures - doubtful)
        if self._context.run.shards == 1:
            self._context.tally.add("total", pictures)


def _etags(seen: Seen) -> tuple[str, str]:
    return seen.source.etag if seen.source else "", seen.destination.object.etag if seen.destination else ""


def _listed(pair: Pair) -> tuple[str, str]:
    return pair.source.etag if pair.source else "", pair.destination.etag if pair.destination else ""


def walk(context: Context, within: Range) -> Iterator[Pair]:
    """Every key that the source, the destination or the refusals have, in key order."""
    streams = (
        _tagged(_SOURCE, listing(context.source, context.spec.source.prefix, within)),
        _tagged(_DESTINATION, listing(context.destination, context.spec.destination.prefix, within)),
        _tagged(_NOTE, context.notes.listed(within)),
    )
    merged = heapq.merge(*streams, key=itemgetter(0, 1))
    for key, parts in itertools.groupby(merged, key=itemgetter(0)):
        context.engine.require_going()
        found = {stream: entry for _, stream, entry in parts}
        yield Pair(key, found.get(_SOURCE), found.get(_DESTINATION), found.get(_NOTE))


def _tagged(stream: int, pairs: Iterable[tuple[str, Object]]) -> Iterator[tuple[str, int, Any]]:
    for key, entry in pairs:
        yield key, stream, entry


def _since(context: Context, known: Swept | None, now: datetime) -> datetime | None:
    """From when on changes are looked into; None: everything is, as in each run by hand."""
    if context.run.changed_since:
        return context.run.changed_since - MARGIN
    scheduled = context.run.run.startswith(names.schedule_name(context.run.name))
    every = parse_duration(context.spec.sweep.verify_every)
    if not scheduled or known is None or known.rules != context.rules.strip or now - known.verified >= every:
        return None
    return known.began - MARGIN


def _last(context: Context) -> Swept | None:
    try:
        with context.destination.get(context.records.folder + _SWEPT).body as body:
            found = json.loads(body.read())
        return Swept(datetime.fromisoformat(found["began"]), datetime.fromisoformat(found["verified"]), found["rules"])
    except (NotFoundError, KeyError, ValueError):
        return None


def _remember(context: Context, swept: Swept) -> None:
    content = {"began": swept.began.isoformat(), "verified": swept.verified.isoformat(), "rules": swept.rules}
    context.records.write_json(_SWEPT, content)
