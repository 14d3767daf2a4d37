"""A migration, its rollback and a migration again, stopped and turned about at any moment, with an application beside.

The application writes what it likes, and deletes a picture with the rows that name it.
"""

from __future__ import annotations

import copy

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.examples import examples
from support.there_and_back import LEGACY, MODERN, TwoPlaces

KEYS = ("a", "b", "c")
NATIVE = "n"
KEY, PLACE = st.sampled_from(KEYS), st.booleans()


class ThereAndBack(RuleBasedStateMachine):
    """Both workers, one at a time."""

    @initialize(legacy=st.sets(KEY, min_size=1), modern=st.sets(KEY))
    def begin(self, legacy: set[str], modern: set[str]) -> None:
        self.world = TwoPlaces()
        for pk, key in enumerate(sorted(legacy), 1):
            self.world.upload(LEGACY, key)
            self.world.write_row(pk, LEGACY, key)
        for key in sorted(modern):
            self.world.upload(MODERN, key)
        self.world.upload(MODERN, NATIVE)
        self.world.write_row(9, MODERN, NATIVE)

    @rule(key=KEY, place=PLACE)
    def app_uploads(self, key: str, *, place: bool) -> None:
        self.world.upload(place, key)

    @rule(key=KEY, place=PLACE)
    def app_deletes(self, key: str, *, place: bool) -> None:
        self.world.remove(place, key)

    @rule(pk=st.integers(1, 5), key=KEY, place=PLACE)
    def app_writes_a_row(self, pk: int, key: str, *, place: bool) -> None:
        self.world.write_row(pk, place, key)

    @rule(key=KEY, steps=st.integers(1, 4))
    def worker_works(self, key: str, steps: int) -> None:
        self.world.work(key, steps)

    @rule()
    def worker_sweeps(self) -> None:
        self.world.sweep((*KEYS, NATIVE))

    @rule(key=KEY)
    def worker_deletes(self, key: str) -> None:
        self.world.delete(key)

    @rule()
    def the_user_turns_about(self) -> None:
        self.world.back = not self.world.back

    @invariant()
    def rows_name_objects_that_exist(self) -> None:
        if hasattr(self, "world"):
            self.world.check()
            assert self.world.rows[9] == (MODERN, NATIVE), "the application's own row was touched"
            assert NATIVE in self.world.objects[MODERN], "the application's own object was deleted"
            assert NATIVE not in self.world.objects[LEGACY], "the application's own object was taken along"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for back in (True, False, True):
                self._ends(back=back)

    def _ends(self, *, back: bool) -> None:
        """The application stops: the run comes to an end, and a sweep after the deletion has nothing to do."""
        world = self.world
        world.back = back
        world.sweep((*KEYS, NATIVE))
        for key in KEYS:
            world.delete(key)
        before = copy.deepcopy((world.objects, world.rows))
        world.sweep((*KEYS, NATIVE))
        assert before == (world.objects, world.rows)
        world.check()
        for key in KEYS:
            item = world.item(key)
            if world.concerns(item) and item.legacy:
                assert item.source is not None, f"{key}: its rows could have been rewritten"
                assert item.destination is not None, f"{key}: its rows could have been rewritten"
                assert item.source.etag != item.destination.etag, f"{key}: no conflict, and its rows were left"


ThereAndBack.TestCase.settings = settings(
    max_examples=examples(600), stateful_step_count=30, database=None, suppress_health_check=list(HealthCheck)
)
TestThereAndBack = ThereAndBack.TestCase


def test_what_was_moved_undisturbed_comes_back_as_it_was_and_can_be_moved_again() -> None:
    world = TwoPlaces()
    for pk, key in enumerate(KEYS, 1):
        world.upload(LEGACY, key)
        world.write_row(pk, LEGACY, key)
    world.upload(MODERN, NATIVE)
    world.write_row(9, MODERN, NATIVE)
    states = []
    for back in (False, True, False, True):
        world.back = back
        world.sweep((*KEYS, NATIVE))
        states.append(copy.deepcopy((world.objects, world.rows)))
        for key in (*KEYS, NATIVE):
            world.delete(key)
        states.append(copy.deepcopy((world.objects, world.rows)))
    assert states[0] == states[4]
    assert states[1] == states[5]
    assert states[3] == states[7]
    assert states[3][0] == {LEGACY: {"a": 1, "b": 2, "c": 3}, MODERN: {NATIVE: 4}}
