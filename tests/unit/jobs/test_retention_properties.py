"""What holds of every plan, whatever the folders and the rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.folders import Folder
from bucketops_jobs.retention.guards import exceeded, identity, plan_hash
from bucketops_jobs.retention.rules import plan
from support.deployments import NOW, folder, gone, spec, stay
from support.examples import examples

COUNTS = st.integers(0, 4)
PATHS = st.text("ab-1", min_size=1, max_size=4)


@st.composite
def folders(draw: st.DrawFn) -> list[Folder]:
    """Names that are prefixes of each other, ages that tie, some pinned, half deleted, deleted before or empty."""
    found = []
    for path in draw(st.lists(PATHS, unique=True, max_size=14)):
        days = draw(st.integers(0, 60) | st.floats(0, 800))
        spread = draw(st.integers(0, 20))
        newest = NOW - timedelta(days=days)
        found.append(
            folder(
                path,
                oldest=newest - timedelta(days=spread),
                newest=newest,
                marker=draw(st.none() | st.just(newest)),
                pinned=draw(st.booleans()) and draw(st.booleans()),
                begun=draw(st.integers(0, 5)) == 0,
                current=draw(st.integers(0, 7)) > 0,
                content=draw(st.integers(0, 4)) > 0,
            )
        )
    return found


@st.composite
def specs(draw: st.DrawFn) -> RetentionSpec:
    age = draw(st.sampled_from(["newest", "oldest", "name", "marker"]))
    given_age: dict[str, Any] = {
        "name": {"namePattern": "(?P<version>[0-9]+)$"},
        "marker": {"markerKey": ".deployed"},
    }.get(age, {})
    keep: dict[str, Any] = {name: draw(COUNTS) for name in ("daily", "weekly", "monthly", "yearly")}
    keep |= {"last": draw(st.integers(1, 5)), "names": draw(st.lists(PATHS, max_size=2))}
    return spec(
        folders={"age": age, "groupBy": draw(st.sampled_from(["", "^(.)"])), **given_age},
        delete=draw(st.sampled_from([{}, {"olderThan": "0s"}, {"olderThan": "30d"}])),
        keep=keep,
        guards={"minAge": draw(st.sampled_from(["0s", "1h", "10d"]))},
        timeZone=draw(st.sampled_from(["Etc/UTC", "Asia/Kolkata", "America/New_York"])),
    )


def countable(found: list[Folder], rules: RetentionSpec) -> Counter[str]:
    """By group, the folders that can count as kept: whole ones that hold content and whose age is known."""
    made = plan(found, rules, NOW)
    whole = [v for v in made.verdicts if v.date and v.folder.deployed and not v.folder.begun]
    return Counter(verdict.group for verdict in whole)


@given(folders(), specs())
def test_never_fewer_than_keep_last_remain_in_a_group(found: list[Folder], rules: RetentionSpec) -> None:
    kept = {verdict.folder.path for verdict in plan(found, rules, NOW).kept}
    after = countable([one for one in found if one.path in kept], rules)
    for group, before in countable(found, rules).items():
        assert after[group] >= min(before, rules.keep.last)


@settings(max_examples=examples(1000))
@given(folders(), specs())
def test_nothing_younger_than_min_age_goes(found: list[Folder], rules: RetentionSpec) -> None:
    least = {"0s": timedelta(0), "1h": timedelta(hours=1), "10d": timedelta(days=10)}[rules.guards.min_age]
    for verdict in plan(found, rules, NOW).condemned:
        assert NOW - verdict.folder.newest >= least


@given(folders(), specs())
def test_nothing_that_is_not_strictly_older_goes(found: list[Folder], rules: RetentionSpec) -> None:
    for verdict in plan(found, rules, NOW).condemned:
        if rules.delete.older_than == "30d":
            assert NOW - (verdict.date or verdict.folder.newest) > timedelta(days=30)


@given(folders(), specs())
def test_a_second_run_deletes_nothing(found: list[Folder], rules: RetentionSpec) -> None:
    kept = stay(plan(found, rules, NOW))
    assert gone(plan([one for one in found if one.path in kept], rules, NOW)) == set()


@given(folders(), specs(), st.randoms())
def test_a_run_that_broke_off_anywhere_and_its_rerun_delete_what_one_run_would(
    found: list[Folder], rules: RetentionSpec, chance: Any
) -> None:
    """Of the condemned some are gone, one is half gone, the rest stand."""
    made = plan(found, rules, NOW)
    order = made.condemned
    stop = chance.randint(0, len(order))
    removed = {verdict.folder.path for verdict in order[:stop]}
    half = order[stop].folder.path if stop < len(order) else None
    left = [
        replace(one, objects=1, marker=None, begun=True, was=one.whole) if one.path == half else one
        for one in found
        if one.path not in removed
    ]
    assert removed | gone(plan(left, rules, NOW)) == gone(made)


@given(folders(), specs())
def test_folders_without_content_change_nothing_for_deployments(found: list[Folder], rules: RetentionSpec) -> None:
    """Nobody saves or loses a deployment by making folders in which there is nothing."""
    deployed = [one for one in found if one.deployed]
    alone = gone(plan(deployed, rules, NOW))
    assert {path for path in gone(plan(found, rules, NOW)) if path in {one.path for one in deployed}} == alone


@given(folders(), specs(), st.integers(0, 100))
def test_folders_without_content_let_no_deployment_past_the_guards(
    found: list[Folder], rules: RetentionSpec, percent: int
) -> None:
    limited = rules.model_copy(update={"guards": rules.guards.model_copy(update={"max_delete_percent": percent})})
    deployed = [one for one in found if one.deployed]
    if exceeded(plan(deployed, limited, NOW), limited, ()):
        assert exceeded(plan(found, limited, NOW), limited, ())


@given(folders(), specs())
def test_plan_and_apply_decide_alike_in_any_order_of_folders(found: list[Folder], rules: RetentionSpec) -> None:
    planned = plan(found, rules.model_copy(update={"mode": "Plan"}), NOW)
    applied = plan(list(reversed(found)), rules.model_copy(update={"mode": "Apply"}), NOW)
    assert planned == applied
    assert plan_hash(planned) == plan_hash(applied)


@given(folders(), specs())
def test_every_folder_has_exactly_one_verdict_and_a_rule(found: list[Folder], rules: RetentionSpec) -> None:
    made = plan(found, rules, NOW)
    assert sorted(v.folder.path for v in made.verdicts) == sorted(one.path for one in found)
    assert all(verdict.rule for verdict in made.verdicts)
    assert made.seen == len(stay(made)) + len(made.condemned)


@given(folders(), specs())
def test_the_hash_changes_with_anything_that_would_go(found: list[Folder], rules: RetentionSpec) -> None:
    made = plan(found, rules, NOW)
    going = {identity(verdict.folder) for verdict in made.condemned}
    for victim in [verdict.folder for verdict in made.condemned][:1]:
        rest = [one for one in found if one is not victim]
        other = plan(rest, rules, NOW)
        same = {identity(verdict.folder) for verdict in other.condemned} == going
        assert (plan_hash(other) == plan_hash(made)) is same
