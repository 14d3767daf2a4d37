"""Dates in names, versions, references and guards of S3Retention."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_jobs.retention.ages import parse_time, version_key
from bucketops_jobs.retention.guards import exceeded, identity, plan_hash
from bucketops_jobs.retention.references import named
from bucketops_jobs.retention.rules import plan
from support.deployments import NOW, folder, spec

PARIS = ZoneInfo("Europe/Paris")
MORNING = datetime(2026, 1, 31, 9, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T09:05:07Z",
        "2026-01-31T09-05-07Z",
        "20260131T090507Z",
        "2026-01-31_10-05-07",
        "20260131100507",
        "2026-01-31T10:05:07+01:00",
        "2026-01-31T10:05:07.123+0100",
        str(int(MORNING.timestamp())),
        str(int(MORNING.timestamp() * 1000)),
    ],
)
def test_a_time_in_a_name_is_read_in_the_forms_that_keys_use(text: str) -> None:
    assert parse_time(text, PARIS) == MORNING


def test_a_date_alone_counts_from_the_end_of_its_day() -> None:
    assert parse_time("20260131", UTC) == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "main", "2026-13-01", "2026-02-30", "123", "20260131T99:00", "1.2.3"])
def test_what_is_no_time_has_none(text: str) -> None:
    assert parse_time(text, UTC) is None


@given(st.datetimes(datetime(2001, 9, 10), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_every_time_is_read_as_it_was_written(when: datetime) -> None:
    when = when.replace(microsecond=0)
    assert parse_time(when.isoformat(), PARIS) == when
    assert parse_time(f"{when:%Y%m%d%H%M%S}", UTC) == when
    assert parse_time(str(int(when.timestamp())), PARIS) == when


def test_versions_sort_as_semver_says() -> None:
    in_order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0",
    ]
    in_order += ["1.0.1+build.7", "1.9", "1.10", "v2", "10"]
    shuffled = [*in_order[1::2], *in_order[::2]]
    assert sorted(shuffled, key=version_key) == in_order
    assert version_key("1.0.0") == version_key("1")
    assert version_key("main") == ()


@pytest.mark.parametrize(
    "text",
    [
        "deploy1",
        '{"current": "deploy1"}',
        "https://cdn.example/deploy1/index.html",
        "https%3A%2F%2Fcdn%2Fdeploy1%2Findex.html",
        r'{"path": "\/deploy1\/"}',
        r'{"note": "now:\ndeploy1\n"}',
        "deploy1\n",
        "live=deploy1,next=deploy10",
    ],
)
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    assert "deploy1" in named(["deploy1", "deploy2"], text)
    assert "deploy2" not in named(["deploy1", "deploy2"], text)


def test_deploy1_does_not_stand_in_deploy10_nor_12_in_2012() -> None:
    assert named(["deploy1", "deploy10"], '{"live": "deploy10"}') == {"deploy10"}
    assert named(["12", "2012", "20"], '{"build": 2012}') == {"2012"}


@pytest.mark.parametrize("name", ["été", "部署-1", "naïve build"])
def test_unicode_names_are_found_raw_escaped_encoded_and_decomposed(name: str) -> None:
    import unicodedata  # noqa: PLC0415 - of this test alone
    from urllib.parse import quote  # noqa: PLC0415 - of this test alone

    for text in (name, json.dumps({"live": name}), quote(name), unicodedata.normalize("NFD", name)):
        assert named([name], text) == {name}


ESCAPED = json.dumps({"live": "déploy-2"})


@pytest.mark.parametrize(
    "text",
    [
        ESCAPED + '\n{"former": "deploy-1"}\n',
        f"window.release = {ESCAPED}; // not deploy-1",
        json.dumps({"message": ESCAPED, "former": "deploy-1"}),
        '{"build": ' + "9" * 5000 + f', "now": {ESCAPED}, "former": "deploy-1"}}',
        "[" * 100_000 + ESCAPED + "deploy-1",
    ],
    ids=["lines", "a script", "JSON in JSON", "a long number", "deep"],
)
def test_what_json_escapes_is_found_where_no_parser_reads_it(text: str) -> None:
    """Else the run goes on, since another folder is named too, and the live one is deleted."""
    assert named(["déploy-2", "deploy-1", "deploy-3"], text) == {"déploy-2", "deploy-1"}


@given(st.text(min_size=1, max_size=8).filter(lambda name: "/" not in name and name.isprintable()))
def test_any_name_is_found_in_json_in_a_string_of_json(name: str) -> None:
    for text in (json.dumps([name]), json.dumps([name, "x"]) + "\n[]", json.dumps([json.dumps([name])])):
        assert named([name], text) == {name}


TEN = [folder(f"d{number}", days=40 + number) for number in range(10)]


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ({"maxDeletePercent": 90}, ""),
        ({"maxDeletePercent": 89}, "9 of 10 folders would go (90 %), guards.maxDeletePercent is 89"),
        ({"maxDeletePercent": 100, "maxDeleteFolders": 9}, ""),
        ({"maxDeletePercent": 100, "maxDeleteFolders": 8}, "9 of 10 folders would go, guards.maxDeleteFolders is 8"),
        ({"maxDeletePercent": 0}, "9 of 10 folders would go (90 %), guards.maxDeletePercent is 0"),
    ],
)
def test_a_plan_above_a_guard_is_stopped_and_one_at_it_is_not(guards: dict[str, int], words: str) -> None:
    rules = spec(keep={"last": 1}, guards=guards)
    assert exceeded(plan(TEN, rules, NOW), rules, set()) == words


def test_an_approved_plan_passes_and_any_other_folder_still_counts() -> None:
    rules = spec(keep={"last": 1}, guards={"maxDeleteFolders": 1, "maxDeletePercent": 100})
    approved = {identity(verdict.folder) for verdict in plan(TEN, rules, NOW).condemned}
    assert exceeded(plan(TEN, rules, NOW), rules, approved) == ""
    one_more = plan([*TEN, folder("x")], rules, NOW)
    assert exceeded(one_more, rules, approved) == ""
    two_more = plan([*TEN, folder("x"), folder("y")], rules, NOW)
    assert exceeded(two_more, rules, approved) == "2 of 12 folders would go, guards.maxDeleteFolders is 1"


def test_a_folder_that_changed_since_the_approval_counts_again() -> None:
    rules = spec(keep={"last": 1}, guards={"maxDeleteFolders": 0})
    approved = {identity(folder("old", objects=3))}
    made = plan([folder("new", days=1), folder("old", objects=4)], rules, NOW)
    assert exceeded(made, rules, approved) == "1 of 2 folders would go, guards.maxDeleteFolders is 0"


def test_no_folders_exceed_no_guard() -> None:
    assert exceeded(plan([], spec(), NOW), spec(), set()) == ""


def test_the_hash_is_that_of_what_goes_and_of_nothing_else() -> None:
    rules = spec(keep={"last": 1})
    assert plan_hash(plan(TEN, rules, NOW)) == plan_hash(plan([*TEN[1:], folder("d0", days=1)], rules, NOW))
    assert plan_hash(plan(TEN, rules, NOW)) != plan_hash(plan(TEN[:-1], rules, NOW))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"folders": {"age": "name"}}, "namePattern"),
        ({"folders": {"age": "name", "namePattern": "(?P<time>.)(?P<version>.)"}}, "one group"),
        ({"folders": {"age": "marker"}}, "markerKey"),
        ({"folders": {"groupBy": "main"}}, "has no group"),
        ({"folders": {"groupBy": "("}}, "no regular expression"),
        ({"bucket": {"bucket": "deployments", "prefix": "web"}}, "end the prefix with '/'"),
        ({"bucket": {"bucket": "deployments", "prefix": "a/.bucketops/"}}, "under .bucketops/"),
        ({"keep": {"last": 0}}, "greater than or equal to 1"),
        ({"approvePlan": "abc"}, "whole planHash"),
        ({"keep": {"names": ["d1", "d2/"]}}, "keep.names: 'd2/' matches no folder.*write 'd2'"),
        ({"keep": {"names": ["/d1"]}}, "keep.names: '/d1' matches no folder.*write 'd1'"),
        ({"keep": {"names": ["web/d1"]}}, "keep.names: 'web/d1' matches no folder, for it has 2 segments"),
        ({"folders": {"exclude": ["assets/"]}}, "folders.exclude: 'assets/' matches no folder.*write 'assets'"),
        ({"folders": {"exclude": ["assets/*"]}}, "folders.exclude: 'assets/*' matches no folder, for it has 2"),
        ({"folders": {"include": ["*/", "d*"]}}, "folders.include: '*/' matches no folder"),
        ({"folders": {"include": ["a/b/c"], "depth": 2}}, "3 segments and folders.depth is 2"),
        ({"keep": {"markerKey": "/.keep"}}, "keep.markerKey: '/.keep' is in no folder"),
        ({"folders": {"age": "marker", "markerKey": "/done"}}, "folders.markerKey: '/done' is in no folder"),
        ({"timeZone": "Paris"}, "Europe/Paris"),
        ({"schedule": "at three"}, "0 3 * * *"),
    ],
)
def test_a_wrong_spec_is_told_what_to_write(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words).replace(r"\.\*", ".*").replace(r"\.*", ".*")):
        spec(**wrong)


def test_a_glob_that_can_match_is_taken() -> None:
    deep = {"depth": 2, "include": ["shop/*", "d*", "*"], "exclude": ["shop/assets", "[/a]b[/c]d"]}
    made = spec(folders=deep, keep={"names": ["shop/d1", "d2", "**"], "markerKey": "meta/.keep"})
    assert made.keep.names == ["shop/d1", "d2", "**"]
