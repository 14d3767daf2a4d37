"""Which folders go and which stay, rule by rule; the docs' examples stand here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bucketops_jobs.retention.rules import BEGUN, REMNANT, plan
from support.deployments import NOW, folder, gone, rules_of, spec, stay

TEN = [folder(f"deploy{number}", days=10 * number) for number in range(1, 11)]
"""deploy1 is 10 days old, deploy10 is 100 days old."""


def test_a_folder_goes_only_if_it_is_older_and_beyond_every_keep_rule() -> None:
    made = plan(TEN, spec(keep={"last": 5}), NOW)
    assert gone(made) == {"deploy6", "deploy7", "deploy8", "deploy9", "deploy10"}
    assert rules_of(made, "deploy6") == ("older than 30d, beyond every keep rule",)
    assert rules_of(made, "deploy4") == ("last 4 of 5",)
    assert rules_of(made, "deploy2") == ("last 2 of 5", "not older than 30d")


def test_without_an_age_only_the_keep_rules_count() -> None:
    assert stay(plan(TEN, spec(delete={}, keep={"last": 2}), NOW)) == {"deploy1", "deploy2"}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"keep": {"last": 5}}, {1, 2, 3, 4, 5}),
        ({"delete": {"olderThan": "70d"}, "keep": {"last": 2}}, {1, 2, 3, 4, 5, 6, 7}),
        ({"delete": {}, "keep": {"last": 2}}, {1, 2}),
        ({"delete": {}, "keep": {"last": 1, "monthly": 3}}, {1, 2, 5}),
        ({"keep": {"last": 1, "yearly": 3}}, {1, 2, 3, 10}),
        ({"keep": {"last": 1, "names": ["d9"]}}, {1, 2, 3, 9}),
    ],
)
def test_the_examples_of_the_docs_are_true(rules: dict[str, Any], left: set[int]) -> None:
    ten = [folder(f"d{number}", days=10 * number) for number in range(1, 11)]
    assert stay(plan(ten, spec(**rules), NOW)) == {f"d{number}" for number in left}


def test_older_means_strictly_older() -> None:
    exact = [folder("edge", days=30), folder("over", days=30 + 1 / 86400), folder("new", days=0.5)]
    assert gone(plan(exact, spec(keep={"last": 1}), NOW)) == {"over"}


def test_ties_go_by_name_and_the_greater_is_the_newer() -> None:
    same = [folder(path) for path in ("b", "a", "c")]
    assert stay(plan(same, spec(keep={"last": 2}), NOW)) == {"b", "c"}


def test_keep_rules_are_a_union() -> None:
    """The newest is kept by `last`, the newest of each of two months by `monthly`; a name, and age, one more each."""
    made = plan(TEN, spec(keep={"last": 1, "monthly": 2, "names": ["deploy9"]}), NOW)
    assert stay(made) == {"deploy1", "deploy2", "deploy3", "deploy9"}
    assert rules_of(made, "deploy1") == ("last 1 of 1", "monthly 2026-06", "not older than 30d")


def test_a_calendar_rule_keeps_the_newest_of_each_period_that_has_one() -> None:
    made = plan(TEN, spec(delete={}, keep={"last": 1, "yearly": 1, "monthly": 3}), NOW)
    assert stay(made) == {"deploy1", "deploy2", "deploy5"}
    assert rules_of(made, "deploy5") == ("monthly 2026-04",)


def test_the_oldest_stays_while_a_calendar_rule_has_periods_left() -> None:
    made = plan(TEN, spec(keep={"last": 1, "yearly": 3}), NOW)
    assert rules_of(made, "deploy10") == ("yearly: the oldest, with 2 left to keep",)


def test_days_are_those_of_the_time_zone() -> None:
    """23:30 and 00:30 in Paris are two days there, and one in UTC."""
    midnight = NOW.replace(hour=22, minute=0) - timedelta(days=50)
    pair = [
        folder(name, newest=midnight + timedelta(minutes=minutes), oldest=midnight)
        for name, minutes in (("late", -30), ("early", 30))
    ]
    both = {"keep": {"last": 1, "daily": 2}}
    assert "daily 2026-04-26" in rules_of(plan(pair, spec(timeZone="Europe/Paris", **both), NOW), "late")
    assert rules_of(plan(pair, spec(**both), NOW), "late") == ("daily: the oldest, with 1 left to keep",)


def test_rules_apply_within_each_group() -> None:
    folders = [folder(f"{branch}-{n}", days=40 + n) for branch in ("main", "dev") for n in range(3)]
    made = plan(folders, spec(folders={"groupBy": "^([^-]+)-"}, keep={"last": 1}), NOW)
    assert stay(made) == {"main-0", "dev-0"}
    assert {verdict.group for verdict in made.verdicts} == {"main", "dev"}


def test_folders_without_a_match_are_one_group_together() -> None:
    folders = [folder("main-1"), folder("x", days=50), folder("y", days=60)]
    assert stay(plan(folders, spec(folders={"groupBy": "^(.+)-"}, keep={"last": 1}), NOW)) == {"main-1", "x"}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"pinned": True}, "marker .keep"),
        ({"referenced_by": ("latest.json",)}, "referenced by latest.json"),
        ({"path": "release-1"}, "name release-*"),
        ({"path": "app/release-1"}, "name release-*"),
    ],
)
def test_what_the_user_pins_stays_however_old(changes: dict[str, Any], rule: str) -> None:
    old = folder(**{"path": "old", "days": 900} | changes)
    made = plan([*TEN, old], spec(keep={"last": 1, "names": ["release-*"]}), NOW)
    assert rules_of(made, old.path) == (rule,)


def test_globs_tell_deploy1_from_deploy10() -> None:
    assert stay(plan(TEN, spec(keep={"last": 1, "names": ["deploy1"]}), NOW)) >= {"deploy1"}
    assert "deploy10" in gone(plan(TEN, spec(keep={"last": 1, "names": ["deploy1"]}), NOW))


def test_nothing_younger_than_min_age_goes_whatever_a_name_says() -> None:
    """A folder of 2020 by its name whose upload has just ended."""
    rules = {"folders": {"age": "name", "namePattern": "(?P<time>.+)"}, "keep": {"last": 1}}
    made = plan([folder("2020-01-01", days=0.01), folder("2021-01-01", days=9)], spec(**rules), NOW)
    assert rules_of(made, "2020-01-01") == ("younger than guards.minAge 1h",)


def test_a_folder_whose_age_is_unknown_stays_and_does_not_count() -> None:
    rules = {"folders": {"age": "marker", "markerKey": ".deployed"}, "keep": {"last": 1}}
    done = folder("done", marker=NOW - timedelta(days=50))
    made = plan(
        [folder("uploading", days=50), done, folder("older", marker=NOW - timedelta(days=60))], spec(**rules), NOW
    )
    assert gone(made) == {"older"}
    assert rules_of(made, "uploading") == ("age unknown: folders.age is marker, and it has none",)


def test_age_oldest_takes_the_first_object() -> None:
    long = folder("long", oldest=NOW - timedelta(days=90), newest=NOW - timedelta(days=2))
    newer = folder("newer", days=5)
    assert gone(plan([long, newer], spec(folders={"age": "oldest"}, keep={"last": 1}), NOW)) == {"long"}
    assert gone(plan([long, newer], spec(folders={"age": "newest"}, keep={"last": 1}), NOW)) == set()


def test_versions_order_folders_and_dates_decide_their_age() -> None:
    rules = {"folders": {"age": "name", "namePattern": "^v(?P<version>.+)$"}, "keep": {"last": 2}}
    made = plan([folder(f"v{v}") for v in ("1.9.0", "1.10.0", "1.10.0-rc.1", "1.2.0")], spec(**rules), NOW)
    assert stay(made) == {"v1.10.0", "v1.10.0-rc.1"}


def test_a_half_deleted_folder_is_finished_and_does_not_count_as_kept() -> None:
    """It would be the second of the last two."""
    folders = [folder("a", days=40), folder("half", days=41, begun=True), folder("b", days=42), folder("c", days=43)]
    made = plan(folders, spec(keep={"last": 2}), NOW)
    assert stay(made) == {"a", "b"}
    assert rules_of(made, "half") == (BEGUN,)
    assert made.condemned[0].folder.path == "half"


def test_a_half_deleted_folder_that_was_pinned_since_is_left_alone() -> None:
    made = plan([folder("half", begun=True), folder("a")], spec(keep={"last": 1, "names": ["half"]}), NOW)
    assert rules_of(made, "half") == ("name half",)


def test_old_versions_of_a_deleted_folder_go_when_they_are_old() -> None:
    folders = [folder("a", days=40), folder("left", days=31, current=False), folder("late", days=29, current=False)]
    made = plan(folders, spec(keep={"last": 2}), NOW)
    assert rules_of(made, "left") == (REMNANT,)
    assert rules_of(made, "late") == ("not older than 30d",)


def test_a_folder_without_content_never_takes_the_place_of_a_deployment() -> None:
    """`empty/`, as a console's "Create folder" makes it, is the newest."""
    folders = [folder("empty", days=31, content=False), folder("live", days=40), folder("old", days=50)]
    made = plan(folders, spec(keep={"last": 1}), NOW)
    assert stay(made) == {"live"}
    assert rules_of(made, "empty") == ("no deployment: no object in it has content, older than 30d",)
    assert made.without_content == ["empty"]


def test_a_folder_without_content_obeys_all_other_rules() -> None:
    folders = [
        folder("young", days=29, content=False),
        folder("named", content=False),
        folder("pinned", content=False, pinned=True),
        folder("live", days=40),
    ]
    made = plan(folders, spec(keep={"last": 1, "names": ["named"]}), NOW)
    assert gone(made) == set()
    assert rules_of(made, "young") == ("not older than 30d",)
    now = plan([folder("new", days=0.01, content=False), folder("live")], spec(delete={}, keep={"last": 1}), NOW)
    assert rules_of(now, "new") == ("younger than guards.minAge 1h",)


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "yearly"])
def test_no_calendar_rule_keeps_a_folder_without_content(period: str) -> None:
    folders = [folder("empty", days=31, content=False), folder("live", days=31.01), folder("new", days=1)]
    made = plan(folders, spec(keep={"last": 1, period: 2}), NOW)
    assert stay(made) == {"live", "new"}


def test_a_name_beyond_the_calendar_stops_no_run() -> None:
    """Whoever names a folder 9999-12-31 stops nobody's retention, in whatever zone that is the year 10000."""
    named = {"age": "name", "namePattern": "^d-(?P<time>.+)$"}
    dates = ["9999-12-31T235959Z", "9999-12-31T235959-1200", "1000-01-01T000000+1400", "0001-01-01", "9999-12-31"]
    folders = [*(folder(f"d-{date}") for date in dates), folder("d-2024-01-01"), folder("d-2024-02-01")]
    for zone in ("Asia/Tokyo", "America/New_York", "Etc/UTC"):
        rules = spec(folders=named, keep={"last": 1, "daily": 9, "weekly": 9, "yearly": 9}, timeZone=zone)
        assert len(plan(folders, rules, NOW).verdicts) == len(folders)
