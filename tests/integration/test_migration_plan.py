"""Plan writes nothing outside .bucketops/ and says what Apply then does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.migration.rows import Rows
from support.avatars import LEGACY, MODERN, name
from support.driver import condition, message


def world(lab: Any) -> None:
    """Something of everything."""
    lab.world.seed(legacy=range(1, 21), modern=range(101, 104))
    lab.world.put_modern(range(1, 4))
    lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(5), Body=b"other")
    lab.world.put_legacy(range(31, 33))
    lab.world.put_modern([50])
    lab.world.insert([LEGACY + name(50), LEGACY + name(60), LEGACY + name(7)])


def test_a_plan_changes_nothing_outside_the_records(lab: Any) -> None:
    world(lab)
    before = (lab.world.keys(lab.world.source), lab.world.keys(lab.world.destination), lab.world.paths())
    status = lab.drive(lab.spec(mode="Plan")).finish()
    assert condition(status, "Complete"), status
    assert status["phase"] == "Planned"
    assert (lab.world.keys(lab.world.source), lab.world.keys(lab.world.destination), lab.world.paths()) == before
    assert "mode: Apply" in message(status, "Complete")


def test_a_plan_foretells_the_counts_of_the_run(lab: Any) -> None:
    world(lab)
    driver = lab.drive(lab.spec(mode="Plan"))
    planned = driver.finish()
    driver.change(lab.spec())
    driver.step()
    done = driver.finish()
    assert condition(done, "Failed"), done  # the conflict
    assert done["outcomes"] == planned["outcomes"]
    assert done["rowOutcomes"] == planned["rowOutcomes"]
    expected = {"moved": 18, "already": 3, "conflict": 1}
    assert {key: count for key, count in done["outcomes"].items() if count} == expected
    assert done["audit"]["before"] == planned["audit"]["before"]


def test_the_statistics_of_the_database_tell_where_listings_may_be_cut(
    lab: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """None of a table that was never analyzed, or that is small; otherwise keys that rows name, of either form."""
    lab.world.seed(legacy=range(1, 201), modern=range(301, 401))
    lab.world.sql("ALTER TABLE avatars SET (autovacuum_enabled = false)")  # it would analyze the table by itself
    spec = MigrationSpec.model_validate(lab.spec())
    folder = tmp_path / "secrets" / "avatars-db"
    folder.mkdir(parents=True)
    for key, value in lab.secrets(lab.spec())["avatars-db"].items():
        (folder / key).write_text(value)

    def boundaries() -> list[str]:
        rows = Rows(spec.database, tmp_path, LEGACY, MODERN)  # type: ignore[arg-type]
        try:
            return rows.boundaries()
        finally:
            rows.close()

    monkeypatch.setattr("bucketops_jobs.migration.rows.ROWS_OF_A_RANGE", 10)
    assert boundaries() == []
    lab.world.sql("ANALYZE avatars")
    found = boundaries()
    assert len(found) == 30
    assert found == sorted(found)
    assert set(found) <= {name(number) for number in (*range(1, 201), *range(301, 401))}
    monkeypatch.setattr("bucketops_jobs.migration.rows.ROWS_OF_A_RANGE", 10_000)
    assert boundaries() == []
