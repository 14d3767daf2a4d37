"""A small world between two places: a migration, its rollbacks, and an application that works on all the while.

Content is a number that no two writes share; it is the ETag too. What must never happen is asserted where it would.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bucketops_jobs.migration.chunk import Settled, Work, outcome, settle
from bucketops_jobs.migration.history import Version, backward, onward
from bucketops_jobs.migration.merge import Item, Policy, Row, RowOutcome, decide, deletable
from bucketops_jobs.s3.store import Object
from support.model import proof

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
LEGACY, MODERN = True, False


@dataclass
class TwoPlaces:
    """Objects by place and key, rows by primary key: (whether it names the legacy place, key)."""

    objects: dict[bool, dict[str, int]] = field(default_factory=lambda: {LEGACY: {}, MODERN: {}})
    rows: dict[int, tuple[bool, str]] = field(default_factory=dict)
    history: dict[str, list[Version]] = field(default_factory=dict)
    back: bool = False
    supersedes: dict[int, set[int]] = field(default_factory=dict)
    """By content that the application wrote, the contents that had stood at its place before: older ones."""
    seen: dict[tuple[bool, str], set[int]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # the application

    def upload(self, place: bool, key: str) -> None:
        number = next(self._numbers)
        self.supersedes[number] = set(self._seen(place, key))
        self._seen(place, key).add(number)
        self.objects[place][key] = number

    def remove(self, place: bool, key: str) -> None:
        """With the rows that name it."""
        self.rows = {pk: named for pk, named in self.rows.items() if named != (place, key)}
        self.objects[place].pop(key, None)

    def write_row(self, pk: int, place: bool, key: str) -> None:
        if key in self.objects[place]:
            self.rows[pk] = (place, key)

    def _seen(self, place: bool, key: str) -> set[int]:
        return self.seen.setdefault((place, key), set())

    # what a worker sees

    @property
    def origin(self) -> bool:
        """Where the worker takes objects from."""
        return MODERN if self.back else LEGACY

    def item(self, key: str) -> Item:
        rows = tuple(
            Row(0, str(pk), f"{place} {at}", legacy=place is self.origin)
            for pk, (place, at) in sorted(self.rows.items())
            if at == key
        )
        bare = Item(key, self._object(self.origin, key), self._object(not self.origin, key), None, rows)
        return (backward if self.back else onward)(bare, self.history.get(key, []))

    def concerns(self, item: Item) -> bool:
        return item.entry is not None if self.back else bool(item.source or item.entry or item.legacy)

    def _object(self, place: bool, key: str) -> Object | None:
        number = self.objects[place].get(key)
        return None if number is None else Object(key, str(number), 1, WHEN)

    # what a worker does

    def work(self, key: str, steps: int = 9) -> bool:
        """The protocol of one key; the worker dies after so many steps. Whether there was anything to do."""
        item = self.item(key)
        if not self.concerns(item):
            return False
        decision = decide(item, Policy(goes_back=self.back), lambda one, other: one.etag == other.etag)
        if not decision.works:
            return False
        work = Work(item, decision, 0)
        self.history.setdefault(key, []).append(Version(work.intent, self.back))
        answer = self._copy(work) if steps > 1 else None
        if steps <= 2:
            return True
        source, copy = self._object(self.origin, key), self._object(not self.origin, key)
        one = settle(work, proof(work, answer, copy), source, copy)
        verdicts = self._rewrite(one)
        if steps > 3 and one.commit:
            self.history[key][-1] = Version(outcome(one, verdicts), self.back)
        return True

    def _copy(self, work: Work) -> str | None:
        expect, key = work.decision.copy, work.item.key
        if expect is None:
            return None
        there, new = self.objects[not self.origin].get(key), self.objects[self.origin][key]
        assert (there is None) is expect.absent
        if there is not None:
            assert there in self.supersedes.get(new, set()), f"{key}: what the application wrote is overwritten"
        self.objects[not self.origin][key] = new
        self._seen(not self.origin, key).add(new)
        return str(new)

    def _rewrite(self, one: Settled) -> dict[str, RowOutcome]:
        verdicts = {}
        for row in one.work.item.legacy if one.rewrite else ():
            self.rows[int(row.pk)] = (not self.origin, one.work.item.key)
            verdicts[row.id] = RowOutcome.REWRITTEN
        return verdicts

    def sweep(self, keys: tuple[str, ...]) -> None:
        """Until a pass changes nothing."""
        for _ in range(6):
            before = (dict(self.rows), {place: dict(found) for place, found in self.objects.items()})
            changed = [self.work(key) for key in keys]
            same = before == (self.rows, self.objects)
            if not any(changed) or (same and not any(map(self.work, keys))):
                return
        raise AssertionError("sweeps do not come to an end")

    def delete(self, key: str) -> None:
        item = self.item(key)
        if not self.concerns(item) or deletable(item) is not None:
            return
        gone, left = self.objects[self.origin][key], self.objects[not self.origin].get(key)
        assert left is not None, f"{key}: deleted without a copy"
        assert left == gone or gone in self.supersedes[left], f"{key}: deleted with other content at the other place"
        assert (self.origin, key) not in self.rows.values(), f"{key}: deleted while a row names it"
        del self.objects[self.origin][key]

    def check(self) -> None:
        """No row names a missing object: the application only ever deletes an object with its rows."""
        for pk, (place, key) in self.rows.items():
            assert key in self.objects[place], f"row {pk} names {key}, which is not there"
