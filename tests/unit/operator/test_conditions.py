"""Conditions as kstatus and `kubectl wait` read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bucketops_api.reasons import ConditionType, Reason
from bucketops_operator import conditions
from bucketops_operator.conditions import Verdict, Verdicts, merge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)

STATES = {
    "working": conditions.working(Reason.COPYING, "run 2"),
    "suspended": conditions.suspended("set it to false"),
    "stalled": conditions.stalled(Reason.ACCESS_DENIED, "mend it"),
    "failed": conditions.failed(Reason.AUDIT_FAILED, "row 1"),
    "complete": conditions.complete(Reason.SUCCEEDED, "all moved"),
}


@pytest.mark.parametrize(
    ("state", "true"),
    [
        ("working", {"Reconciling"}),
        ("suspended", {"Suspended"}),
        ("stalled", {"Stalled"}),
        ("failed", {"Failed", "Stalled"}),
        ("complete", {"Complete", "Ready"}),
    ],
)
def test_what_holds_in_each_state(state: str, true: set[str]) -> None:
    assert {type_ for type_, verdict in STATES[state].items() if verdict.status == "True"} == true


@pytest.mark.parametrize("one", STATES)
@pytest.mark.parametrize("other", STATES)
def test_each_state_leaves_nothing_of_the_one_before(one: str, other: str) -> None:
    after = merge(merge([], STATES[one], 1, NOW), STATES[other], 1, LATER)
    assert {c.type: c.status for c in after} == {type_: v.status for type_, v in STATES[other].items()}


@pytest.mark.parametrize("verdicts", STATES.values(), ids=STATES)
def test_reconciling_and_stalled_never_hold_together(verdicts: Verdicts) -> None:
    assert not verdicts[ConditionType.RECONCILING].status == verdicts[ConditionType.STALLED].status == "True"


def test_the_time_changes_with_the_status_alone() -> None:
    first = merge([], {ConditionType.READY: Verdict("False", Reason.COPYING, "10 %")}, 1, NOW)
    again = merge(first, {ConditionType.READY: Verdict("False", Reason.SWEEPING, "20 %")}, 2, LATER)
    (condition,) = again
    assert (condition.last_transition_time, condition.message, condition.observed_generation) == (NOW, "20 %", 2)
    (condition,) = merge(again, {ConditionType.READY: Verdict("True", Reason.SUCCEEDED)}, 2, LATER)
    assert condition.last_transition_time == LATER


def test_others_stay_as_they_are() -> None:
    known = merge([], {ConditionType.DEGRADED: Verdict("True", Reason.APPLICATION_STILL_WRITES, "image/1")}, 1, NOW)
    after = merge(known, STATES["working"], 2, LATER)
    assert conditions.is_true(after, ConditionType.DEGRADED)
    assert after[0] == known[0]


def test_a_long_message_is_cut_to_what_the_api_server_takes() -> None:
    (condition,) = merge([], {ConditionType.READY: Verdict("False", Reason.RUN_FAILED, "x" * 9000)}, 1, NOW)
    assert len(condition.message) == 4096
