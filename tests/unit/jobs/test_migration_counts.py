"""The real walk over objects, rows and a journal in memory: whatever dies when, the counts add up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bucketops_api import counts
from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import ItemError, WorkerError
from bucketops_jobs.migration import audit, claim, copy
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.merge import Row, RowOutcome
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.rewrite import Rewrite, Verdict
from bucketops_jobs.pace import Pace
from bucketops_jobs.records import Records
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import Copy
from bucketops_jobs.shards import Range
from bucketops_jobs.tally import Tally
from support.examples import examples
from support.generated import CAN, SPEC

LEGACY, MODERN = "image/", "avatar/"


class KilledError(BaseException):
    """As by SIGKILL: nothing catches it."""


@dataclass(frozen=True)
class Key:
    """What there is of one key before the migration."""

    source: bool
    destination: str | None
    """Its content: `same` as the source's, or `other`."""
    rows: int
    """Legacy rows that name it."""
    stuck: bool = False
    """Whether a constraint refuses that its first row is changed."""
    refused: bool = False
    """Whether the store refuses its copy."""


@dataclass
class World:
    """Both places, the rows, the journal; and when the worker dies."""

    keys: Sequence[Key]
    server: FakeServer = field(default_factory=FakeServer)
    rows: dict[str, str] = field(default_factory=dict)
    """Value by primary key."""
    deaths: Iterator[int] = field(default_factory=lambda: iter(()))
    """Of each worker in turn the writes that it lives for; those that come after the last one live on."""
    until_death: int | None = None

    def __post_init__(self) -> None:
        for bucket in ("legacy", "production", "records"):
            self.server.store(bucket)
        for number, key in enumerate(self.keys):
            name = f"{number:02d}"
            if key.source:
                self.server.store("legacy").put(LEGACY + name, b"same" + name.encode(), {})
            if key.destination:
                self.server.store("production").put(MODERN + name, key.destination.encode() + name.encode(), {})
            self.rows |= {f"{number}.{row}": LEGACY + name for row in range(key.rows)}

    def write(self) -> None:
        """One write is made; the worker may die right after it."""
        if self.until_death is not None:
            self.until_death -= 1
            if self.until_death < 0:
                raise KilledError

    def stuck(self, pk: str) -> bool:
        number, row = pk.split(".")
        return row == "0" and self.keys[int(number)].stuck


class Place(FakeStore):
    """A bucket whose writes are counted."""

    def __init__(self, world: World, bucket: str) -> None:
        super().__init__(world.server, bucket)
        self.world = world

    def put(self, *args: Any, **options: Any) -> str:
        etag = super().put(*args, **options)
        self.world.write()
        return etag

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str | WorkerError]]:
        for one in wanted:
            if self.world.keys[int(one.key.removeprefix(MODERN))].refused:
                yield one, ItemError("refused")
            else:
                yield from super().copies([one])


class Table:
    """The rows, as bucketops_jobs.migration.rows shows them."""

    readers = ((),)
    """No new path reads as a legacy one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tables = [SimpleNamespace(name="avatars.path")]

    def load(self, within: Range) -> Iterator[tuple[str, Row]]:
        return iter(pair for pair in self._sorted() if pair[0] in within)

    def leftover(self) -> Iterator[tuple[str, Row]]:
        return iter(pair for pair in self._sorted() if pair[1].legacy)

    def _sorted(self) -> list[tuple[str, Row]]:
        found = [(value.partition("/")[2], Row(0, pk, value, value.startswith(LEGACY)))
                 for pk, value in self.world.rows.items()]  # fmt: skip
        return sorted(found, key=lambda pair: (pair[0], pair[1].pk))

    def new_value(self, _: Row, key: str) -> str:
        return MODERN + key

    def rewrite(self, wanted: Sequence[Rewrite]) -> dict[str, Verdict]:
        verdicts: dict[str, Verdict] = {}
        for one in wanted:
            assert self.world.rows[one.row.pk] == one.row.value
            stuck = self.world.stuck(one.row.pk)
            verdicts[one.row.id] = "the constraint says no" if stuck else RowOutcome.REWRITTEN
            if not stuck:
                self.world.rows[one.row.pk] = one.new_value
        self.world.write()
        return verdicts

    def current(self, rows: Iterable[Row]) -> dict[str, str]:
        return {row.id: self.world.rows[row.pk] for row in rows}


def walked(world: World, spec: MigrationSpec, phase: str, shards: int) -> Counter[str]:
    """One phase, each shard as often as it takes; the counts of the attempts that came to their end."""
    total: Counter[str] = Counter()
    for shard in range(shards):
        while True:
            try:
                total += attempt(world, spec, phase, shards, shard)
                break
            except KilledError:
                world.until_death = next(world.deaths, None)
    return total


def attempt(world: World, spec: MigrationSpec, phase: str, shards: int, shard: int) -> Counter[str]:
    """One worker, which counts or dies; its claim is there."""
    records = Records(Place(world, "records"), ".bucketops/x/")
    bounds = tuple(f"{len(world.keys) * cut // shards:02d}" for cut in range(1, shards))
    plan = Plan(epoch="000001", bounds=bounds, capabilities=CAN, dangling=())
    artifact = Records(FakeStore(world.server, "records"), ".bucketops/x/").write_json(
        "plan.json", plan.model_dump(mode="json")
    )
    order = {"kind": "S3Migration", "phase": phase, "namespace": "a", "name": "b", "run": f"b-1-{phase}", "spec": {}}
    stores: Any = (Place(world, "legacy"), Place(world, "production"), records, Table(world))
    tally = Tally()
    with Engine(Pace(2, None, threading.Event()), 2) as engine:
        run = RunSpec.model_validate(order | {"plan": artifact})
        context = Context(run, spec, shard, *stores, engine, tally, lambda _: True)
        lives, world.until_death = world.until_death, None
        claim.take(context)
        world.until_death = lives
        {"copy": copy.run, "sweep": copy.run, "audit": audit.run}[phase](context)
    return tally.counts


def expected(key: Key, spec: MigrationSpec) -> Counter[str]:
    """The outcomes of one key and its rows, as docs/migration.md has them."""
    found: Counter[str] = Counter()
    outcome, of_rows = expected_outcomes(key, spec)
    if outcome:
        found[counts.OBJECTS + outcome] += 1
    swapped = of_rows in {"rewritten", "healed"}
    for row in range(key.rows):
        found[counts.ROWS + ("failed" if swapped and key.stuck and row == 0 else of_rows)] += 1
    return found


def expected_outcomes(key: Key, spec: MigrationSpec) -> tuple[str, str]:
    """Of the object (none where there never was one) and of its rows."""
    ignored = spec.orphans == "Ignore" and not key.rows
    moved = ("failed", "failed") if key.refused else ("moved", "rewritten")
    if not key.source:
        return "", "healed" if key.destination else "missingSource"
    if key.destination == "same":
        return "already", "rewritten"
    if ignored:
        return "ignored", ""
    if key.destination is None:
        return moved
    return {"Fail": ("conflict", "failed"), "KeepDestination": ("already", "rewritten"), "Overwrite": moved}[
        spec.on_conflict
    ]


def spec_of(on_conflict: str, orphans: str, chunk: int) -> MigrationSpec:
    database = dict(SPEC["database"]) | {"batchSize": chunk}  # type: ignore[call-overload]
    return MigrationSpec.model_validate(SPEC | {"onConflict": on_conflict, "orphans": orphans, "database": database})


def outcomes(found: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in found.items() if name.startswith((counts.OBJECTS, counts.ROWS)) and n})


KEYS = st.builds(
    Key, st.booleans(), st.sampled_from((None, "same", "other")), st.integers(0, 2), st.booleans(), st.booleans()
)
SPECS = st.builds(
    spec_of,
    st.sampled_from(("Fail", "KeepDestination", "Overwrite")),
    st.sampled_from(("Move", "Ignore")),
    st.integers(1, 4),
)
DYING = [Key(source=True, destination=None, rows=1)] * 5


@settings(max_examples=examples(300), database=None, suppress_health_check=list(HealthCheck))
@given(
    keys=st.lists(KEYS, min_size=1, max_size=12),
    spec=SPECS,
    shards=st.integers(1, 3),
    deaths=st.lists(st.integers(0, 9), max_size=6),
)
@example(keys=DYING, spec=spec_of("Fail", "Move", 2), shards=1, deaths=[0, 1, 2, 3, 4])
def test_every_object_and_every_row_ends_in_exactly_one_outcome_whoever_dies(
    keys: list[Key], spec: MigrationSpec, shards: int, deaths: list[int]
) -> None:
    """The copy, the sweep after it and the audit count the same: what the table of outcomes foretells."""
    world = World(keys, deaths=iter(deaths))
    world.until_death = next(world.deaths, None)
    wanted = sum((expected(key, spec) for key in keys), Counter())
    for phase in ("copy", "sweep", "audit"):
        found = walked(world, spec, phase, shards)
        assert outcomes(found) == wanted, phase
        objects = sum(n for name, n in found.items() if name.startswith(counts.OBJECTS))
        rows = sum(n for name, n in found.items() if name.startswith(counts.ROWS))
        assert (objects, rows) == (sum(key.source for key in keys), sum(key.rows for key in keys))
        assert found[counts.DONE] == objects
        assert found[counts.PENDING] == 0
    named = {pk: value for pk, value in world.rows.items() if value.startswith(MODERN)}
    assert len(named) == wanted[f"{counts.ROWS}rewritten"] + wanted[f"{counts.ROWS}healed"]


def test_the_deaths_really_come() -> None:
    world = World(DYING)
    world.until_death = 1
    with pytest.raises(KilledError):
        attempt(world, spec_of("Fail", "Move", 2), "copy", 1, 0)
