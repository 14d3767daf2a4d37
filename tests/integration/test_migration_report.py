"""The report lists every object and row that did not end as moved or already there; no sample limits it."""

from __future__ import annotations

import gzip
import json
from typing import Any

from support.avatars import LEGACY, MODERN, World, name
from support.driver import condition


def lines(world: World, status: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the last run, from where `status.records` says."""
    bucket, _, folder = status["records"].removeprefix("s3://").partition("/")
    below = f"{folder}reports/{status['runs'][-1]['id']}/"
    keys = [row["Key"] for row in world.s3.list_objects_v2(Bucket=bucket, Prefix=below).get("Contents", ())]
    found = [json.loads(line) for key in keys for line in gzip.decompress(world.body(bucket, key)).splitlines()]
    return sorted(found, key=lambda line: str(line["key"]))


def world_of(lab: Any) -> None:
    """Forty conflicts, five rows without an object, and ten pictures that go well."""
    lab.world.seed(legacy=range(1, 51))
    for number in range(1, 41):
        lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(number), Body=b"another")
    lab.world.insert([LEGACY + name(number) for number in range(901, 906)])


def expect_complete(lab: Any, status: dict[str, Any]) -> None:
    found = lines(lab.world, status)
    conflicts = [line["key"] for line in found if line["outcome"] == "conflict"]
    missing = [line for line in found if "missingSource" in line["rows"].values()]
    assert conflicts == sorted(name(number) for number in range(1, 41))
    assert [line["key"] for line in missing] == [name(number) for number in range(901, 906)]
    assert [line["rows"] for line in missing] == [{f"0:{number}": "missingSource"} for number in range(51, 56)]
    assert len(found) == 45
    rows = [end for line in found for end in line["rows"].values()]
    assert rows.count("failed") == status["rowOutcomes"]["failed"] == 40
    assert status["outcomes"]["conflict"] == 40


def test_a_plan_and_a_run_report_the_same(lab: Any) -> None:
    world_of(lab)
    driver = lab.drive(lab.spec(mode="Plan"))
    expect_complete(lab, driver.finish())
    driver.change(lab.spec())
    driver.step()
    status = driver.finish()
    assert condition(status, "Failed"), status
    expect_complete(lab, status)


def test_a_migration_that_went_well_reports_nothing(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert lines(lab.world, status) == []
