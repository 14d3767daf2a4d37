"""What a rollback works by: the migration that it names, the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from bucketops_api.privileges import migration
from bucketops_api.v1alpha1.migration import S3MIGRATION, Database, MigrationRequest
from bucketops_api.v1alpha1.rollback import work_of

WHOLE: dict[str, Any] = {
    "mode": "Plan",
    "source": {"bucket": "legacy-s3", "prefix": "image/"},
    "destination": {"bucket": "production-s3", "prefix": "avatar/", "region": "eu-west-1"},
    "filter": {"include": ["*.png"]},
    "database": {
        "credentials": {"secretRef": {"name": "avatars-db"}},
        "references": [
            {"table": "avatars", "column": "path"},
            {"table": "users", "column": "avatar", "format": "https://old/{key}", "newFormat": "https://new/{key:url}"},
        ],
        "maxReplicationLag": "10s",
    },
    "onConflict": "Overwrite",
    "orphans": "Ignore",
    "cleanup": {"policy": "Delete", "grace": "2h"},
    "worker": {"parallelism": 7},
}


def rollback(origin: dict[str, Any] | None = None, **more: Any) -> Any:
    whole = MigrationRequest.model_validate(origin or WHOLE)
    return work_of(MigrationRequest.model_validate({"rollbackOf": "avatars"} | more), whole)


def test_a_migration_is_what_it_says() -> None:
    spec = work_of(MigrationRequest.model_validate(WHOLE))
    assert spec.model_dump(by_alias=True, exclude_unset=True, mode="json").items() >= {"mode": "Plan"}.items()
    assert (spec.source.bucket, spec.destination.bucket) == ("legacy-s3", "production-s3")


def test_a_rollback_goes_the_other_way() -> None:
    spec = rollback()
    assert (spec.mode, spec.suspend, spec.trigger) == ("Apply", False, "")
    assert (spec.source.bucket, spec.source.prefix) == ("production-s3", "avatar/")
    assert (spec.destination.bucket, spec.destination.prefix) == ("legacy-s3", "image/")
    assert [(r.format, r.written_format) for r in spec.database.references] == [
        ("{key}", "{key}"),
        ("https://new/{key:url}", "https://old/{key}"),
    ]
    assert spec.database.max_replication_lag == "10s"


def test_its_records_are_those_of_the_migration() -> None:
    assert (rollback().records.bucket, rollback().records.prefix) == ("production-s3", "")
    assert rollback().records.region == "eu-west-1"
    kept = rollback(WHOLE | {"records": {"bucket": "records", "prefix": "x/"}}).records
    assert (kept.bucket, kept.prefix) == ("records", "x/")


def test_the_journal_says_what_it_is_about_and_it_overwrites_nothing() -> None:
    spec = rollback()
    assert (spec.filter.include, spec.orphans, spec.on_conflict) == ([], "Move", "Fail")


def test_cleanup_and_worker_are_the_migrations_unless_they_are_given() -> None:
    assert (rollback().cleanup.policy, rollback().worker.parallelism) == ("Delete", 7)
    given = rollback(cleanup={"policy": "Retain"}, worker={"parallelism": 2})
    assert (given.cleanup.policy, given.worker.parallelism) == ("Retain", 2)


def test_a_rollback_can_be_planned_first() -> None:
    assert rollback(mode="Plan").mode == "Plan"


@pytest.mark.parametrize("field", ["source", "destination", "filter", "database", "onConflict", "orphans"])
def test_everything_else_is_left_out(field: str) -> None:
    with pytest.raises(ValidationError, match="rollbackOf goes with mode, suspend, trigger, cleanup and worker"):
        MigrationRequest.model_validate({"rollbackOf": "avatars", field: WHOLE[field]})


@pytest.mark.parametrize("given", [{}, {"source": WHOLE["source"]}, {"destination": WHOLE["destination"]}])
def test_a_migration_needs_both_places(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name source and destination, or with rollbackOf"):
        MigrationRequest.model_validate(given)


def test_every_field_is_live_or_refused_while_a_run_works() -> None:
    """What a later phase would read differently from an earlier one cannot change between them."""
    fields = {to_camel(name) for name in MigrationRequest.model_fields}
    frozen = {path.partition(".")[0] for path in S3MIGRATION.frozen}
    assert fields - frozen == {"suspend", "trigger", "cleanup", "worker"}
    of_database = {to_camel(name) for name in Database.model_fields}
    frozen_there = {path.partition(".")[2] for path in S3MIGRATION.frozen if path.startswith("database.")}
    assert of_database - frozen_there == {"maxReplicationLag"}


def test_its_rights_are_the_other_way_round() -> None:
    """The production identity may delete, the legacy one may write; neither may do more than that."""
    source = {action for s in migration.source_statements(rollback()) for action in s["Action"]}
    assert "s3:DeleteObject" in source
    deletes = [s for s in migration.source_statements(rollback()) if s["Sid"] == "SourceDelete"]
    assert deletes[0]["Resource"] == ["arn:aws:s3:::production-s3/avatar/*"]
    writes = [s for s in migration.destination_statements(rollback()) if s["Sid"] == "DestinationWrite"]
    assert writes[0]["Resource"] == ["arn:aws:s3:::legacy-s3/image/*"]
