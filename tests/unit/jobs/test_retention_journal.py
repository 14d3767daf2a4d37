"""What was begun, as the records tell it: nothing that somebody else writes there means anything."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.engine import Engine
from bucketops_jobs.pace import Pace
from bucketops_jobs.records import Records
from bucketops_jobs.retention import guards, report, rules
from bucketops_jobs.retention.journal import STRANGERS, Journal, Seal
from bucketops_jobs.s3.fake import FakeServer
from support.deployments import NOW, folder, gone, spec

FOLDER = ".bucketops/s3retention/default/web/0/"
KEY = "the secret key of the identity"
MIXED = {"verdict": "planned"}
PATHS = [f"d{number}" for number in range(6)]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Pace(4, Path("/nowhere"), threading.Event()), 4) as made:
        yield made


@pytest.fixture
def records() -> Records:
    return Records(FakeServer().store("deployments"), FOLDER)


def journal(records: Records, key: str = KEY, versions: str = "Current") -> Journal:
    return Journal(records, versions, Seal(key, f"deployments {FOLDER}"))


def name(path: str, versions: str = "current") -> str:
    return f"{FOLDER}deleting/{versions}/{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"


def test_what_was_begun_is_known_to_the_next_attempt(records: Records, engine: Engine) -> None:
    begun = folder("d1", marker=NOW - timedelta(days=9))
    journal(records).begin(begun)
    found = journal(records).read(engine, PATHS)
    assert found.keys() == {"d1"}
    assert found["d1"].folder == begun
    assert found["d1"].half_deleted(folder("d1", objects=2))
    assert not found["d1"].half_deleted(folder("d1", objects=3))
    assert not found["d1"].half_deleted(folder("d1", days=99, objects=2))


FORGED: dict[str, Any] = {"path": "d0", "objects": 10**9, "newest": "9999-01-01T00:00:00+00:00"}
FULL: dict[str, Any] = FORGED | {"bytes": 1, "oldest": "0001-01-01T00:00:00+00:00", "marker": None}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(FORGED),
        json.dumps(FULL),
        json.dumps(FULL | {"seal": ""}),
        json.dumps(FULL | {"seal": "0" * 64}),
        json.dumps(FULL | {"seal": "\udcff"}),
        json.dumps(FULL | {"seal": hashlib.sha256(json.dumps(FULL).encode()).hexdigest()}),
        json.dumps(FULL | {"seal": Seal("a guess", f"deployments {FOLDER}").sign(FULL)}),
        json.dumps([FULL]),
        "[" * 100_000,
        "9" * 100_000,
        "",
        "\x00",
    ],
)
def test_a_record_that_somebody_else_wrote_means_nothing(records: Records, engine: Engine, body: str) -> None:
    records.store.put(name("d0"), body.encode(), {})
    honest = journal(records)
    assert honest.read(engine, PATHS) == {}
    assert honest.forged == [name("d0")]
    assert list(records.keys("deleting/")) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_stands_in_a_record_is_no_error(content: object) -> None:
    with Engine(Pace(1, Path("/nowhere"), threading.Event()), 1) as made:
        records = Records(FakeServer().store("deployments"), FOLDER)
        for key, value in (("plain", content), ("d0", FULL | {"path": content}), ("d1", FULL | {"seal": content})):
            records.store.put(name(key), json.dumps(value).encode(), {})
        assert journal(records).read(made, PATHS) == {}


def test_a_plan_leaves_the_records_of_another_identity(records: Records, engine: Engine) -> None:
    journal(records).begin(folder("d1"))
    other = Journal(records, "Current", Seal("another key", f"deployments {FOLDER}"), cleans=False)
    assert other.read(engine, PATHS) == {}
    assert journal(records).read(engine, PATHS).keys() == {"d1"}


def moved(records: Records, source: str, target: str) -> None:
    with records.store.get(source).body as body:
        records.store.put(target, body.read(), {})


def test_a_record_of_ours_means_nothing_in_another_place(records: Records, engine: Engine) -> None:
    journal(records).begin(folder("d1"))
    moved(records, name("d1"), name("d0"))
    moved(records, name("d1"), name("d1", "all"))
    assert journal(records).read(engine, PATHS).keys() == {"d1"}
    assert journal(records, versions="All").read(engine, PATHS) == {}
    other = Journal(Records(records.store, FOLDER), "Current", Seal(KEY, "another-bucket"))
    assert other.read(engine, PATHS) == {}


def test_a_record_that_was_changed_means_nothing(records: Records, engine: Engine) -> None:
    journal(records).begin(folder("d1"))
    with records.store.get(name("d1")).body as body:
        content = json.loads(body.read())
    records.store.put(name("d1"), json.dumps(content | {"objects": 10**9}).encode(), {})
    assert journal(records).read(engine, PATHS) == {}


def test_an_identity_without_a_key_of_its_own_writes_and_believes_nothing(records: Records, engine: Engine) -> None:
    """Whatever signs with an empty key can be forged by everybody."""
    without = journal(records, key="")
    without.begin(folder("d1"))
    assert list(records.keys("deleting/")) == []
    records.store.put(name("d0"), json.dumps(FULL | {"seal": Seal("", "").sign(FULL)}).encode(), {})
    assert without.read(engine, PATHS) == {}


def test_however_many_records_somebody_writes_few_are_read(records: Records, engine: Engine) -> None:
    for number in range(STRANGERS + 50):
        records.store.put(f"{FOLDER}deleting/current/0{number:06}.json", b"{}", {})
    honest = journal(records)
    honest.begin(folder("d1"))
    assert honest.read(engine, PATHS).keys() == {"d1"}
    assert len(honest.forged) == STRANGERS


def test_a_half_deleted_folder_is_judged_by_what_it_was() -> None:
    """Its marker went first, and its oldest object; the rest is as it was."""
    was = folder("half", days=50, marker=NOW - timedelta(days=50))
    half = replace(was, objects=1, marker=None, oldest=NOW - timedelta(days=1), begun=True, was=was)
    for age in ({"age": "marker", "markerKey": ".deployed"}, {"age": "oldest"}):
        made = rules.plan(
            [folder("new", marker=NOW - timedelta(days=2)), half], spec(folders=age, keep={"last": 1}), NOW
        )
        assert [v.folder.path for v in made.condemned] == ["half"]


def test_what_was_begun_obeys_the_age_that_holds_now_and_counts_for_the_guards() -> None:
    was = folder("half", days=50)
    half = replace(was, objects=1, begun=True, was=was)
    longer = spec(delete={"olderThan": "90d"}, keep={"last": 1})
    assert rules.plan([folder("new"), half], longer, NOW).condemned == []
    none = spec(keep={"last": 1}, guards={"maxDeleteFolders": 0})
    made = rules.plan([folder("new"), half], none, NOW)
    assert guards.exceeded(made, none, ()) == "1 of 2 folders would go, guards.maxDeleteFolders is 0"
    assert guards.exceeded(made, none, {guards.identity(was)}) == ""


def written(records: Records, plan: Any) -> str:
    digest = guards.plan_hash(plan)
    report.write(records, report.PLANS, digest, report.planned(plan, NOW), NOW)
    return digest


def test_an_approved_plan_is_read_as_it_was_written(records: Records) -> None:
    was = folder("half", days=50)
    found = [folder("new", days=1), folder("old", days=60), replace(was, objects=1, begun=True, was=was)]
    made = rules.plan(found, spec(keep={"last": 1}), NOW)
    assert report.approved(records, written(records, made)) == {guards.identity(found[1]), guards.identity(was)}


@pytest.mark.parametrize("kind", ["more", "junk", "bomb", "nothing", "mixed"])
def test_a_plan_that_somebody_changed_is_not_the_approved_one(records: Records, kind: str) -> None:
    made = rules.plan([folder("new", days=1), folder("old", days=60)], spec(keep={"last": 1}), NOW)
    digest = written(records, made)
    (key,) = records.keys("plans/")
    lines = list(records.read_lines(key))
    bodies = {
        "more": gzip.compress("".join(json.dumps(line | {"verdict": "planned"}) + "\n" for line in lines).encode()),
        "junk": b"\x1f\x8bnot gzip at all",
        "bomb": gzip.compress(b"0" * (33 << 20)),
        "nothing": gzip.compress(b"7\n"),
        "mixed": gzip.compress(
            "".join(json.dumps(lines[0] | MIXED | {"folder": one}) + "\n" for one in (1, "d")).encode()
        ),
    }
    records.store.put(key, bodies[kind], {})
    assert report.approved(records, digest) is None


@pytest.mark.parametrize("bound", ["MOST_LINES", "MOST_TEXT"])
def test_a_plan_with_more_folders_than_a_worker_holds_is_none_of_ours(
    records: Records, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rules.plan([folder(name, days=60) for name in ("a", "b", "c")], spec(keep={"last": 1}), NOW)
    digest = written(records, made)
    assert report.approved(records, digest) is not None
    monkeypatch.setattr(report, bound, 1)
    assert report.approved(records, digest) is None


def test_a_later_plan_of_the_same_name_does_not_hide_the_approved_one(records: Records) -> None:
    made = rules.plan([folder("new", days=1), folder("old", days=60)], spec(keep={"last": 1}), NOW)
    digest = written(records, made)
    records.store.put(f"{FOLDER}plans/99991231T000000Z-{digest}.ndjson.gz", b"", {})
    assert report.approved(records, digest) == {guards.identity(folder("old", days=60))}


def test_what_was_begun_and_has_no_age_by_the_rules_of_now_is_as_old_as_its_newest_object() -> None:
    """`namePattern` was changed since: the folder went, though `olderThan` holds for all."""
    later = spec(folders={"age": "name", "namePattern": "^v(?P<version>[0-9]+)$"}, keep={"last": 1})
    for days, goes in ((10, set()), (40, {"deploy"})):
        found = [folder("deploy", days, begun=True), folder("v9", 1)]
        assert gone(rules.plan(found, later, NOW)) == goes
