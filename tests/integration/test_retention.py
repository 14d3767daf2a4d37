"""S3Retention's worker on a real MinIO that shows the dates it is given, as a user with the documented rights."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest

from bucketops_api import names
from bucketops_jobs.s3 import clock
from support.retention import Deployments, Retainer


def test_old_deployments_go_and_the_last_ones_stay(deployments: Deployments, retain: Retainer) -> None:
    for number in range(1, 6):
        deployments.deploy(f"deploy{number}", days=30 + number)
    deployments.deploy("deploy0", days=1)
    result = retain()
    assert deployments.folders() == {"deploy0", "deploy1"}
    found = {
        name: result.counts[name] for name in ("foldersSeen", "foldersKept", "foldersDeleted", "deleted", "bytesFreed")
    }
    assert found == {"foldersSeen": 6, "foldersKept": 2, "foldersDeleted": 4, "deleted": 12, "bytesFreed": 12}


def test_deploy1_never_takes_deploy10_with_it(deployments: Deployments, retain: Retainer) -> None:
    deployments.deploy("deploy1", days=50)
    deployments.deploy("deploy10", days=40)
    deployments.deploy("deploy1-hotfix", days=40)
    deployments.put("deploy1.json", days=900)
    retain()
    assert deployments.folders() == {"deploy10", "deploy1-hotfix"}
    assert deployments.keys() >= {"deploy1.json"}


def test_objects_above_the_depth_and_records_are_never_touched(deployments: Deployments, retain: Retainer) -> None:
    above = ["index.html", "web/robots.txt", "web/app/favicon.ico", "other/old/index.html"]
    inside = [f"web/app/{name}/index.html" for name in ("a", "b", "c")]
    theirs = ["web/.bucketops/s3migration/journal", "web/app/.bucketops/x/y", "web/app/a/.bucketops/z"]
    deployments.put_all([(key, 400.0) for key in (*above, *inside, *theirs)])
    retain(place={"prefix": "web/"}, folders={"depth": 2}, keep={"last": 1}, delete={})
    assert deployments.keys() == {*above, *theirs, "web/app/c/index.html"}


def test_a_plan_deletes_nothing_and_says_all(deployments: Deployments, retain: Retainer) -> None:
    for number in range(5):
        deployments.deploy(f"d{number}", days=40 + number)
    before = deployments.keys()
    planned = retain(mode="Plan")
    assert deployments.keys() == before
    report = deployments.report(planned.facts["report"])
    assert {name: line["verdict"] for name, line in report.items()} == {
        "d0": "kept", "d1": "kept", "d2": "planned", "d3": "planned", "d4": "planned",
    }  # fmt: skip
    line = report["d4"]
    assert (line["objects"], line["bytes"], line["rule"]) == (3, 3, "older than 30d, beyond every keep rule")
    assert 43.9 < line["ageDays"] < 44.1
    assert report["d0"]["rule"] == "last 1 of 2"
    assert [sample.key for sample in planned.samples] == ["d2", "d3", "d4"]


def test_apply_does_exactly_what_the_plan_said(deployments: Deployments, retain: Retainer) -> None:
    for number in range(5):
        deployments.deploy(f"d{number}", days=40 + number)
    planned = retain(mode="Plan")
    applied = retain(mode="Apply")
    assert planned.facts["planHash"] == applied.facts["planHash"]
    would = {n for n, line in deployments.report(planned.facts["report"]).items() if line["verdict"] == "planned"}
    did = {n for n, line in deployments.report(applied.facts["report"]).items() if line["verdict"] == "deleted"}
    assert would == did == {"d2", "d3", "d4"}


def test_a_second_run_deletes_nothing(deployments: Deployments, retain: Retainer) -> None:
    for number in range(5):
        deployments.deploy(f"d{number}", days=40 + number)
    retain()
    left = deployments.keys()
    assert "deleted" not in retain().counts
    assert deployments.keys() == left


def test_more_than_a_batch_goes_and_is_counted(deployments: Deployments, retain: Retainer) -> None:
    deployments.deploy("big", days=50, assets=2300)
    deployments.deploy("now", days=1)
    result = retain(keep={"last": 1})
    assert deployments.folders() == {"now"}
    assert result.counts["deleted"] == 2301


@pytest.mark.parametrize("in_memory", [0, 5000])
def test_a_folder_too_large_for_memory_is_listed_again(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr("bucketops_jobs.retention.removal.IN_MEMORY", in_memory)
    deployments.deploy("old", days=50, assets=30)
    deployments.deploy("now", days=1)
    assert retain(keep={"last": 1}).counts["deleted"] == 31
    assert deployments.folders() == {"now"}


def test_awkward_names_are_names(deployments: Deployments, retain: Retainer) -> None:
    awkward = ["été 2024", "部署-1", "a+b=c&d", "100%", "quote'\"<>", "dot.", "ünï/..x".replace("/", "-")]
    for name in awkward:
        deployments.deploy(name, days=50)
    deployments.deploy("now", days=1)
    retain(keep={"last": 1})
    assert deployments.folders() == {"now"}


def test_what_is_pinned_marked_or_referenced_stays(deployments: Deployments, retain: Retainer) -> None:
    for name in ("release-1", "marked", "live", "old"):
        deployments.deploy(name, days=90)
    deployments.put("marked/.keep", days=90)
    deployments.put("latest.json", days=90, body=b'{"url": "https://cdn.example/live/index.html"}')
    deployments.deploy("now", days=1)
    keep = {"last": 1, "names": ["release-*"], "referencedBy": ["latest.json"]}
    result = retain(keep=keep)
    assert deployments.folders() == {"release-1", "marked", "live", "now"}
    rules = {name: line["rule"] for name, line in deployments.report(result.facts["report"]).items()}
    assert rules["release-1"] == "name release-*"
    assert (rules["marked"], rules["live"]) == ("marker .keep", "referenced by latest.json")


def test_a_gzipped_reference_is_read(deployments: Deployments, retain: Retainer) -> None:
    for name in ("a", "b", "c"):
        deployments.deploy(name, days=90)
    deployments.put("latest.json", body=gzip.compress(b"/a/"))
    retain(keep={"last": 1, "referencedBy": ["latest.json"]})
    assert deployments.folders() == {"a", "c"}


@pytest.mark.parametrize(
    ("body", "words"), [(None, "does not exist"), (b'"gone"', "names none of the 2 folders"), (b"\xff\xfe", "no text")]
)
def test_a_reference_that_says_nothing_stops_the_run(
    deployments: Deployments, retain: Retainer, body: bytes | None, words: str
) -> None:
    deployments.deploy("a", days=50)
    deployments.deploy("b", days=40)
    if body is not None:
        deployments.put("latest.json", body=body)
    before = deployments.keys()
    code, result = retain.attempt(keep={"last": 1, "referencedBy": ["latest.json"]})
    assert (code, result.reason) == (names.EXIT_USER, "ReferenceInvalid")
    assert words in result.message
    assert deployments.keys() == before


def test_a_reference_that_unpacks_into_gigabytes_stops_the_run(deployments: Deployments, retain: Retainer) -> None:
    """64 MiB of zeros are 64 KiB of gzip; no more of it is unpacked than a reference may have."""
    deployments.deploy("a", days=50)
    deployments.deploy("b", days=40)
    deployments.put("latest.json", body=gzip.compress(bytes(64 << 20)))
    code, result = retain.attempt(keep={"last": 1, "referencedBy": ["latest.json"]})
    assert (code, result.reason) == (names.EXIT_USER, "ReferenceInvalid")
    assert "is larger than 16 MiB" in result.message


def test_what_looks_like_a_deployment_and_is_none_is_never_kept_for_one(
    deployments: Deployments, retain: Retainer
) -> None:
    """All of these are newer than the last two deployments."""
    for name, days in (("live", 40), ("before", 41), ("old", 42)):
        deployments.deploy(name, days=days)
    deployments.put("empty/", days=31, body=b"")
    deployments.put("nested/a/b/", days=31, body=b"")
    deployments.put("zeros/index.html", days=31, body=b"")
    deployments.put("pinned/.keep", days=31, body=b"kept")
    result = retain()
    assert deployments.folders() == {"live", "before", "pinned"}
    assert result.counts["foldersEmpty"] == 4
    assert "4 folders hold no content (empty, nested, pinned, zeros)" in result.message
    report = deployments.report(result.facts["report"])
    assert {name for name, line in report.items() if line.get("empty")} == {"empty", "nested", "pinned", "zeros"}
    assert report["empty"]["rule"] == "no deployment: no object in it has content, older than 30d"


def test_delete_markers_alone_are_no_deployment(deployments: Deployments, retain: Retainer) -> None:
    deployments.s3.put_bucket_versioning(Bucket=deployments.bucket, VersioningConfiguration={"Status": "Enabled"})
    deployments.deploy("live", days=40)
    deployments.deploy("gone", days=50)
    for key in deployments.keys("gone/"):
        deployments.s3.delete_object(Bucket=deployments.bucket, Key=key)
    while deployments.now() <= deployments.last_marker():  # a Date header has whole seconds
        time.sleep(0.05)
    result = retain(versions="All", keep={"last": 1}, delete={}, guards={"minAge": "0s", "maxDeletePercent": 100})
    assert deployments.folders() == {"live"}
    assert (
        deployments.report(result.facts["report"])["gone"]["rule"]
        == "deleted before: old versions are all that is left"
    )


def test_a_plan_tells_what_apply_would_refuse(deployments: Deployments, retain: Retainer) -> None:
    rules = guarded(deployments)
    planned = retain(mode="Plan", **rules)
    _, refused = retain.attempt(**rules)
    assert planned.facts["refusal"].startswith("8 of 10 folders would go (80 %), guards.maxDeletePercent is 50")
    assert f"spec.approvePlan: {refused.facts['planHash']}" in planned.facts["refusal"]
    assert "refusal" not in retain(mode="Plan", **rules, approvePlan=planned.facts["planHash"]).facts


def test_include_and_exclude_choose_what_is_seen(deployments: Deployments, retain: Retainer) -> None:
    for name in ("deploy-1", "deploy-2", "deploy-3", "latest", "images"):
        deployments.deploy(name, days=90)
    result = retain(folders={"include": ["deploy-*", "latest"], "exclude": ["latest"]}, keep={"last": 1})
    assert deployments.folders() == {"deploy-3", "latest", "images"}
    assert result.counts["foldersSeen"] == 3


def test_age_by_marker_does_not_count_a_deployment_under_way(deployments: Deployments, retain: Retainer) -> None:
    for number in range(3):
        deployments.deploy(f"done{number}", days=40 + number)
        deployments.put(f"done{number}/.deployed", days=40 + number)
    deployments.deploy("uploading", days=90)
    retain(folders={"age": "marker", "markerKey": ".deployed"}, keep={"last": 1})
    assert deployments.folders() == {"done0", "uploading"}


def test_age_by_name(deployments: Deployments, retain: Retainer) -> None:
    """All were copied yesterday; the names still know better."""
    for name in ("web-20240101", "web-20250101", "web-20260101", "notes"):
        deployments.deploy(name, days=1)
    retain(folders={"age": "name", "namePattern": "^web-(?P<time>[0-9]{8})$"}, keep={"last": 1})
    assert deployments.folders() == {"web-20260101", "notes"}


def guarded(deployments: Deployments) -> dict[str, Any]:
    for number in range(10):
        deployments.deploy(f"d{number}", days=40 + number)
    return {"guards": {"maxDeletePercent": 50}}


def test_a_plan_above_a_guard_deletes_nothing_and_says_how_to_go_on(deployments: Deployments, retain: Retainer) -> None:
    rules = guarded(deployments)
    before = deployments.keys()
    code, result = retain.attempt(**rules)
    assert (code, result.reason) == (names.EXIT_USER, "GuardExceeded")
    assert "8 of 10 folders would go (80 %), guards.maxDeletePercent is 50" in result.message
    assert f"spec.approvePlan: {result.facts['planHash']}" in result.message
    assert deployments.keys() == before
    assert len(result.samples) >= 1


def test_an_approved_plan_passes_the_guards(deployments: Deployments, retain: Retainer) -> None:
    rules = guarded(deployments)
    _, refused = retain.attempt(**rules)
    retain(**rules, approvePlan=refused.facts["planHash"])
    assert deployments.folders() == {"d0", "d1"}


def test_an_approval_is_for_that_plan_alone(deployments: Deployments, retain: Retainer) -> None:
    rules = guarded(deployments)
    _, refused = retain.attempt(**rules)
    before = deployments.keys()
    wrong = rules | {"folders": {"groupBy": "^(x)"}, "keep": {"last": 1}, "guards": {"maxDeletePercent": 0}}
    code, result = retain.attempt(**wrong, approvePlan=refused.facts["planHash"])
    assert code == names.EXIT_USER
    assert "1 of 10 folders would go" in result.message
    assert deployments.keys() == before


def test_an_unknown_approval_is_named(deployments: Deployments, retain: Retainer) -> None:
    code, result = retain.attempt(**guarded(deployments), approvePlan="0" * 64)
    assert code == names.EXIT_USER
    assert "000000000000… is not among the last 100 plans" in result.message


def test_an_empty_bucket_is_no_mistake_and_says_so(deployments: Deployments, retain: Retainer) -> None:
    deployments.put("index.html", days=90)
    result = retain()
    assert "No folder was found at depth 1" in result.message
    assert deployments.keys() == {"index.html"}


def test_a_clock_that_is_wrong_deletes_nothing(
    deployments: Deployments, retain: Retainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments.deploy("a", days=50)
    deployments.deploy("b", days=40)
    monkeypatch.setattr(clock, "MOST_SKEW", -clock.MOST_SKEW)
    code, result = retain.attempt(keep={"last": 1})
    assert (code, result.reason) == (names.EXIT_USER, "ClockSkew")
    assert deployments.folders() == {"a", "b"}


def test_nothing_of_the_journal_stays_behind(deployments: Deployments, retain: Retainer) -> None:
    deployments.deploy("a", days=50)
    deployments.deploy("b", days=40)
    retain(keep={"last": 1})
    assert deployments.records("deleting") == []
    assert len(deployments.records("plans")) == len(deployments.records("reports")) == 1


def test_the_user_of_a_plan_may_delete_no_folder(deployments: Deployments, retain: Retainer) -> None:
    """Its rights are those of mode: Plan, its work that of mode: Apply."""
    deployments.deploy("a", days=50)
    deployments.deploy("b", days=40)
    before, user = deployments.keys(), retain.user
    retain.user = lambda spec: user(spec.model_copy(update={"mode": "Plan"}))
    result = retain(keep={"last": 1})
    assert result.counts["foldersFailed"] == 1
    assert result.counts["objectsFailed"] == 3
    assert "AccessDenied" in json.dumps([sample.message for sample in result.samples])
    assert deployments.keys() == before
