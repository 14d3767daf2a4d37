"""S3Migration in the cluster: the example, 10,000 objects, a website that reads all the while."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from bucketops_api.v1alpha1.scalars import parse_duration
from support.avatars import LEGACY, MODERN, name, picture
from support.cluster import SYSTEM, Cluster, example
from support.evidence import OBJECTS, TWICE, Evidence


def test_kubectl_wait_returns_when_the_migration_is_complete(migrated: Evidence) -> None:
    assert "condition met" in migrated.waited
    assert migrated.status["phase"] == "Succeeded"
    assert migrated.status["progress"]["percent"] == 100


def test_every_object_arrives_byte_equal_with_content_type_and_metadata(migrated: Evidence) -> None:
    world = migrated.world

    def check(number: int) -> bool:
        answer = world.s3.get_object(Bucket=world.destination, Key=MODERN + name(number))
        same = answer["Body"].read() == picture(number)
        return same and answer["ContentType"] == "image/png" and answer["Metadata"] == {"avatar": str(number)}

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(check, range(1, OBJECTS + 1))) == OBJECTS


def test_no_legacy_row_and_no_dangling_row_remains(migrated: Evidence) -> None:
    paths = migrated.world.paths()
    assert not [path for path in paths if path.startswith(LEGACY)]
    assert set(paths) <= set(migrated.world.keys(migrated.world.destination, MODERN))


def test_rows_that_name_the_same_object_are_all_rewritten(migrated: Evidence) -> None:
    paths = migrated.world.paths()
    assert all(paths.count(MODERN + name(number)) == 2 for number in TWICE)
    assert migrated.status["rowOutcomes"]["rewritten"] == OBJECTS + len(TWICE)


def test_modern_objects_are_left_untouched(migrated: Evidence) -> None:
    now = migrated.world.keys(migrated.world.destination, MODERN)
    assert {key: now[key] for key in migrated.native} == migrated.native


def test_legacy_objects_are_gone_after_the_grace_and_not_before(migrated: Evidence) -> None:
    assert migrated.world.keys(migrated.world.source) == {}
    due = datetime.fromisoformat(migrated.status["deleteAfter"])
    written = datetime.fromisoformat(migrated.status["lastLegacyWrite"])
    assert due - written >= parse_duration(example("s3migration")["spec"]["cleanup"]["grace"])
    assert migrated.watcher.first_gone is not None
    assert migrated.watcher.last_full is not None
    assert migrated.watcher.first_gone >= due
    assert migrated.watcher.last_full >= written + timedelta(seconds=1)


def test_progress_is_seen_live_while_pods_run(migrated: Evidence) -> None:
    between = [done for done in migrated.watcher.working if 0 < done < OBJECTS]
    assert between == sorted(between)
    assert len(set(between)) >= 3


def test_percent_never_falls(migrated: Evidence) -> None:
    percents = [status.get("progress", {}).get("percent", 0) for status in migrated.watcher.statuses]
    assert percents == sorted(percents)


def test_a_reader_of_the_website_never_misses_a_picture(migrated: Evidence) -> None:
    assert migrated.reader.wrong == []
    assert migrated.reader.reads >= 5000


def test_every_object_is_in_exactly_one_outcome(migrated: Evidence) -> None:
    assert migrated.status["outcomes"] == {
        "moved": OBJECTS, "already": 0, "conflict": 0, "changedByApp": 0, "ignored": 0, "failed": 0,
    }  # fmt: skip


def test_the_audit_counts_the_world_before_and_after(migrated: Evidence) -> None:
    audit, rows = migrated.status["audit"], OBJECTS + len(TWICE)
    assert audit["before"] == {
        "legacyObjects": OBJECTS, "legacyRows": rows, "danglingRows": 0, "productionObjects": 200,
    }  # fmt: skip
    assert audit["after"] == {
        "legacyObjects": 0, "legacyRows": 0, "danglingRows": 0, "productionObjects": OBJECTS + 200,
    }  # fmt: skip


def test_at_least_four_shards_worked(migrated: Evidence) -> None:
    assert max(status.get("shards", {}).get("total", 0) for status in migrated.watcher.statuses) >= 4


STORY = ["Preflight", "Copying", "Sweeping", "Deleting", "Auditing", "Succeeded"]


def test_describe_tells_the_story_in_events(migrated: Evidence, cluster: Cluster) -> None:
    story = cluster.kubectl("describe", "s3migration", "avatars")
    assert migrated.waited
    assert all(reason in story for reason in STORY)


def test_the_operator_logs_each_transition_in_one_line_of_json(migrated: Evidence, cluster: Cluster) -> None:
    log = cluster.kubectl("logs", "deployment/bucketops", "--tail=-1", namespace=SYSTEM)
    lines = [json.loads(line) for line in log.splitlines()]
    ours = [line for line in lines if (line.get("namespace"), line.get("resource")) == (cluster.namespace, "avatars")]
    told = [line["reason"] for line in ours if line["message"] == "transition" and line["reason"] in STORY]
    assert list(dict.fromkeys(told)) == STORY
    started = [line["run"] for line in ours if line["message"] == "run starts"]
    assert set(started) == {run["id"] for run in migrated.status["runs"]}


def test_kubectl_get_shows_phase_percent_and_objects(migrated: Evidence, cluster: Cluster) -> None:
    head, row = cluster.kubectl("get", "s3mig", "avatars").strip().splitlines()
    assert head.split() == ["NAME", "PHASE", "DONE", "%", "OBJECTS", "RATE", "ETA", "AGE"]
    assert row.split()[:4] == ["avatars", migrated.status["phase"], "100", str(OBJECTS)]
