"""Names that fit where Kubernetes wants them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.names import label_value, run_name, run_number

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True)
NUMBERS = st.integers(1, 10**6)
PHASES = st.sampled_from(["preflight", "plan", "copy", "sweep", "delete", "audit"])


@given(NAMES, NUMBERS, PHASES)
def test_a_run_gives_its_number_back_and_fits_a_jobs_name(name: str, number: int, phase: str) -> None:
    run = run_name(name, number, phase)
    assert run_number(run) == number
    assert len(run) <= 52
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", run)


@given(NAMES, NUMBERS, NUMBERS, PHASES)
def test_runs_of_different_numbers_have_different_names(name: str, one: int, other: int, phase: str) -> None:
    assert (run_name(name, one, phase) == run_name(name, other, phase)) == (one == other)


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, other = run_name("a" * 100 + "x", 1, "copy"), run_name("a" * 100 + "y", 1, "copy")
    assert one != other


def test_a_short_name_is_kept() -> None:
    assert run_name("avatars", 3, "sweep") == "avatars-3-sweep"
    assert run_name("my.avatars", 3, "sweep") == "my-avatars-3-sweep"


@given(NAMES, NAMES)
def test_labels_are_short_and_stay_apart(one: str, other: str) -> None:
    assert len(label_value(one)) <= 63
    assert (label_value(one) == label_value(other)) == (one == other)
