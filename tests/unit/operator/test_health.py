"""When the liveness probe lets the operator be restarted."""

from __future__ import annotations

import pytest

from bucketops_operator.health import Health


@pytest.fixture
def health() -> Health:
    return Health(now=0)


def test_a_fresh_operator_is_alive_before_its_first_list(health: Health) -> None:
    assert health.problems(119) == []


def test_no_successful_list_for_two_minutes_is_death(health: Health) -> None:
    health.listed({}, 100)
    assert health.problems(220) == []
    assert health.problems(221) != []


def test_a_watch_that_shows_what_the_list_shows_is_alive(health: Health) -> None:
    health.saw("a", 7)
    health.listed({"a": 7}, 10)
    assert health.problems(100) == []


def test_a_change_that_the_watch_does_not_show_within_a_minute_is_death(health: Health) -> None:
    health.saw("a", 7)
    health.listed({"a": 8}, 10)
    assert health.problems(70) == []
    assert health.problems(71) != []


def test_a_new_object_that_the_watch_does_not_show_is_death(health: Health) -> None:
    health.listed({"a": 1}, 10)
    assert health.problems(71) != []


def test_a_later_version_proves_life_too(health: Health) -> None:
    health.listed({"a": 8}, 10)
    health.saw("a", 9)
    assert health.problems(71) == []


def test_an_older_version_proves_nothing(health: Health) -> None:
    health.listed({"a": 8}, 10)
    health.saw("a", 7)
    assert health.problems(71) != []


def test_later_changes_do_not_put_off_the_death_of_a_watch(health: Health) -> None:
    health.listed({"a": 8}, 10)
    health.listed({"a": 9}, 60)
    assert health.problems(71) != []


def test_an_object_that_is_gone_is_waited_for_no_longer(health: Health) -> None:
    health.listed({"a": 8, "b": 9}, 10)
    health.saw_end("a")
    health.listed({}, 60)
    assert health.problems(100) == []


def test_a_deletion_that_the_watch_missed_in_a_reconnect_proves_nothing(health: Health) -> None:
    health.saw("a", 7)
    health.listed({}, 10)
    assert health.problems(100) == []
