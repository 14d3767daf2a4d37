"""Folders of a versioned bucket, with `versions: All`: what a reader gets dates them, the rest keeps nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_jobs.retention.folders import Folder
from bucketops_jobs.retention.places import Version, is_live
from bucketops_jobs.retention.rules import plan
from bucketops_jobs.retention.survey import Count
from support.deployments import NOW, gone, rules_of, spec, stay


def version(key: str, days: float, size: int = 1, *, live: bool = True) -> Version:
    return Version(key, "etag", size, NOW - timedelta(days=days), f"v{days}", live)


def counted(path: str, entries: Iterable[Version], rules: RetentionSpec) -> Folder | None:
    count = Count(path, rules)
    for entry in entries:
        count.add(entry)
    return count.folder()


def found(rules: RetentionSpec, **folders: list[Version]) -> list[Folder]:
    return [one for path, entries in folders.items() if (one := counted(path, entries, rules))]


def all_versions(**changes: Any) -> RetentionSpec:
    return spec(versions="All", **changes)


def test_an_object_that_is_deleted_from_an_old_folder_makes_it_no_newer_deployment() -> None:
    """A lifecycle rule or a person removes `robots.txt` from an old deployment: the live one would go for it."""
    rules = all_versions(delete={}, keep={"last": 1})
    folders = found(
        rules,
        live=[version("live/index.html", 5)],
        old=[
            version("old/index.html", 50),
            version("old/robots.txt", 50, live=False),
            version("old/robots.txt", 2, 0, live=False),
        ],
    )
    made = plan(folders, rules, NOW)
    assert stay(made) == {"live"}
    assert rules_of(made, "live") == ("last 1 of 1",)


def test_an_old_version_makes_a_folder_no_older() -> None:
    rules = all_versions(folders={"age": "oldest"}, delete={}, keep={"last": 1})
    again = [version("again/index.html", 5), version("again/index.html", 90, live=False)]
    folders = found(rules, again=again, old=[version("old/index.html", 50)])
    assert stay(plan(folders, rules, NOW)) == {"again"}


def test_a_folder_that_lost_an_object_lately_is_still_younger_than_min_age() -> None:
    """Somebody works in it: that it keeps no rank is no reason to delete it now."""
    rules = all_versions(delete={}, keep={"last": 1})
    busy = [version("busy/index.html", 50), version("busy/a.css", 0.01, 0, live=False)]
    made = plan(found(rules, live=[version("live/index.html", 5)], busy=busy), rules, NOW)
    assert rules_of(made, "busy") == ("younger than guards.minAge 1h",)


ENTRIES = st.lists(
    st.builds(version, st.sampled_from("abc"), st.integers(1, 400), st.integers(0, 2), live=st.booleans()),
    min_size=1, max_size=5,
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["d1", "d2", "d3", "d10"]), ENTRIES),
    st.sampled_from(["newest", "oldest"]),
    st.sampled_from([{}, {"olderThan": "30d"}]),
    st.integers(1, 3),
)
def test_what_readers_do_not_get_changes_nothing_for_deployments(
    entries: dict[str, list[Version]], age: str, delete: dict[str, str], last: int
) -> None:
    """`Current` and `All` decide alike about what is there."""
    rules = all_versions(folders={"age": age}, delete=delete, keep={"last": last, "monthly": 2})
    everything = found(rules, **entries)
    readable = found(rules, **{path: [one for one in all_ if is_live(one)] for path, all_ in entries.items()})
    there = {one.path for one in readable}
    assert gone(plan(everything, rules, NOW)) & there == gone(plan(readable, rules, NOW))
