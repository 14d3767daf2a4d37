"""The protocol against a model: whatever the application does, and wherever the worker dies, nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bucketops_jobs.migration.chunk import Settled, Work
from bucketops_jobs.migration.merge import Outcome, Policy, Row, RowOutcome, gave_up, settled_rows
from bucketops_jobs.migration.rewrite import Verdict
from support.examples import examples
from support.model import Answer, Blob, Model

KEYS = ("a", "b", "c")
NATIVE = "z"
"""A key that the application uses in the production place alone."""
KEY = st.sampled_from(KEYS)
PK = st.sampled_from((1, 2, 3, 9))
SWEEPS = 12


DEEDS: dict[str, Callable[[Model, str], object]] = {
    "upload a legacy picture": Model.upload_legacy,
    "delete a legacy picture and its rows": Model.delete_legacy,
    "lose a legacy picture": lambda model, key: model.source.pop(key, None),
    "lose a modern picture": Model.lose_modern,
    "write a picture of its own": lambda model, _: model.upload_modern(NATIVE),
    "replace a picture by the modern path": lambda model, key: model.knows_modern(key) and model.upload_modern(key),
    "write to the place where we would": lambda model, key: key in model.destination or model.upload_modern(key),
    "delete a modern picture and its rows": lambda model, key: model.knows_modern(key) and model.delete_modern(key),
}
"""What the application does; or somebody who loses things."""
DEED = st.sampled_from(sorted(DEEDS))


class Flight:
    """A key on its way through the worker."""

    def __init__(self, key: str, rows: tuple[Row, ...]) -> None:
        self.key, self.rows = key, rows
        self.work: Work | None = None
        self.answer: Answer = None
        self.copied = False
        self.settled: Settled | None = None
        self.verdicts: dict[str, Verdict] | None = None


class Migration(RuleBasedStateMachine):
    """The application's steps and the worker's in any order."""

    model: Model

    @initialize(
        on_conflict=st.sampled_from(("Fail", "KeepDestination", "Overwrite")),
        orphans=st.sampled_from(("Move", "Ignore")),
        legacy=st.sets(KEY),
        equal=st.sets(KEY),
        other=st.sets(KEY),
    )
    def begin(self, on_conflict: str, orphans: str, legacy: set[str], equal: set[str], other: set[str]) -> None:
        self.model = Model(Policy(on_conflict, orphans))  # type: ignore[arg-type]
        self.flights: dict[str, Flight] = {}
        for pk, key in enumerate(sorted(legacy), 1):
            self.model.upload_legacy(key)
            self.model.write_row(pk, legacy=True, key=key)
            if key in equal:
                self.model.destination[key] = Blob(self.model.source[key].content, "before", 0)
        for key in sorted(other - equal):
            self.model.upload_modern(key)
            self.model.destination[key].writer = "before"

    # the application

    @rule(key=KEY, deed=DEED)
    def somebody_acts(self, key: str, deed: str) -> None:
        DEEDS[deed](self.model, key)

    @rule(key=KEY, deed=DEED, steps=st.integers(0, 5), dies=st.booleans(), fresh=st.booleans())
    def somebody_acts_while_the_worker_is_at_it(
        self, key: str, deed: str, steps: int, *, dies: bool, fresh: bool
    ) -> None:
        """The worker takes so many steps, then somebody acts, then the worker goes on (or not)."""
        self.flights.pop(key, None)
        if fresh and key not in self.model.source:
            self.model.upload_legacy(key)
        self.model.write_row(KEYS.index(key) + 1, legacy=True, key=key)
        flight = Flight(key, self.model.seen_rows(key))
        if all(_advance(self.model, flight) for _ in range(steps)):
            DEEDS[deed](self.model, key)
            while not dies and _advance(self.model, flight):
                self.model.check()

    @rule(pk=PK, key=KEY, legacy=st.booleans())
    def app_writes_a_row(self, pk: int, key: str, *, legacy: bool) -> None:
        self.model.write_row(pk, legacy=legacy, key=key)

    @rule(pk=PK)
    def app_deletes_a_row(self, pk: int) -> None:
        self.model.rows.pop(pk, None)

    # the worker

    @rule(key=KEY)
    def worker_reads_the_rows(self, key: str) -> None:
        if key not in self.flights:
            self.flights[key] = Flight(key, self.model.seen_rows(key))

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), held=st.sets(st.sampled_from(("1", "2", "3"))), lost=st.booleans(), lies=st.booleans())
    def worker_goes_on(self, data: st.DataObject, held: set[str], *, lost: bool, lies: bool) -> None:
        flight = self.flights[data.draw(st.sampled_from(sorted(self.flights)))]
        if not _advance(self.model, flight, frozenset(held), lost=lost, lies=lies):
            del self.flights[flight.key]

    @rule()
    def worker_dies(self) -> None:
        self.flights.clear()

    @rule(key=KEY)
    def worker_deletes(self, key: str) -> None:
        if key not in self.flights:
            self.model.delete(key)

    @rule()
    def worker_sweeps(self) -> None:
        self.flights.clear()
        _sweep(self.model)

    @invariant()
    def rows_name_objects_that_exist(self) -> None:
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            _require_an_end(self.model)


def _advance(
    model: Model, flight: Flight, held: frozenset[str] = frozenset(), *, lost: bool = False, lies: bool = False
) -> bool:
    """One step of the protocol; whether there is another. `lost`: the copy was made and its answer never came.

    `lies`: the server answers as if it had kept the copy whole.
    """
    if flight.work is None:
        item = model.item(flight.key, flight.rows)
        decision = model.decide(item)
        if not decision.works:
            return False
        flight.work = Work(item, decision, 0)
        model.intend(flight.work)
    elif not flight.copied:
        flight.answer, flight.copied = model.copy(flight.work, lies=lies), True
        if lost and isinstance(flight.answer, str):
            flight.answer = model.copy(flight.work)  # the retry meets the first try's object
    elif flight.settled is None:
        flight.settled = model.look(flight.work, flight.answer)
    elif flight.verdicts is None:
        flight.verdicts = model.rewrite(flight.settled, held)
    else:
        model.record(flight.settled, flight.verdicts)
        return False
    return True


def _sweep(model: Model) -> None:
    for key in (*KEYS, NATIVE):
        flight = Flight(key, model.seen_rows(key))
        while _advance(model, flight):
            model.check()


def _require_an_end(model: Model) -> None:
    """The application stops: sweeps come to an end, and everything is in exactly one outcome."""
    for _ in range(SWEEPS):
        before = (dict(model.destination), dict(model.rows), dict(model.journal))
        _sweep(model)
        if before == (model.destination, model.rows, model.journal):
            break
    else:
        raise AssertionError("sweeps do not come to an end")
    _require_outcomes(model)
    for key in KEYS:
        model.delete(key)
    left = (dict(model.destination), dict(model.rows), dict(model.journal))
    _sweep(model)
    assert left == (model.destination, model.rows, model.journal), "a sweep after the delete changes something"


def _require_outcomes(model: Model) -> None:
    objects: Counter[Outcome] = Counter()
    for key in (*KEYS, NATIVE):
        item = model.item(key)
        decision = model.decide(item)
        assert not decision.works or gave_up(item, decision), f"{key}: not final"
        assert (decision.outcome is not None) == item.counted, f"{key}: {decision.outcome}"
        if decision.outcome:
            objects[decision.outcome] += 1
        for row in item.legacy:
            refused = gave_up(item, decision)
            assert row.id not in settled_rows(item)
            final = {RowOutcome.MISSING_SOURCE, RowOutcome.FAILED}
            assert refused or decision.row_outcome in final, f"row {row.pk} of {key} still names the legacy place"
    assert objects.total() == sum(model.item(key).counted for key in (*KEYS, NATIVE))


Migration.TestCase.settings = settings(
    max_examples=examples(1000), stateful_step_count=40, database=None, suppress_health_check=list(HealthCheck)
)
TestTheProtocolKeepsItsPromises = Migration.TestCase
