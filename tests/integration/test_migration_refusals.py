"""What cannot go well is refused by the preflight: within seconds, with what to do, and nothing has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from bucketops_operator.local_worker import free_port
from support.avatars import cursor_of, name
from support.driver import Driver, condition, message, reason
from support.servers import WITH_PASSWORD

pytestmark = pytest.mark.slow

SECONDS = 30
"""What users are promised."""


def refused(lab: Any, driver: Driver) -> tuple[str, str]:
    """The reason and the message; nothing has changed, no claim is left."""
    before = (lab.world.keys(lab.world.source), lab.world.keys(lab.world.destination))
    started = time.monotonic()
    status = driver.finish()
    assert time.monotonic() - started < SECONDS
    assert condition(status, "Stalled"), status
    assert [run["phase"] for run in status["runs"]] == ["preflight"]
    assert (lab.world.keys(lab.world.source), lab.world.keys(lab.world.destination)) == before
    return reason(status, "Stalled"), message(status, "Stalled")


def no_secret(lab: Any) -> Driver:
    return lab.drive(lab.spec(), secrets={"avatars-s3": {}})


def no_key(lab: Any) -> Driver:
    return lab.drive(lab.spec(), secrets={"avatars-s3": {"AWS_ACCESS_KEY_ID": "x"}})


def no_database_secret(lab: Any) -> Driver:
    return lab.drive(lab.spec(), secrets={"avatars-db": {}})


def wrong_key(lab: Any) -> Driver:
    wrong = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "wrong-password"}
    return lab.drive(lab.spec(), secrets={"avatars-s3": wrong})


def missing_bucket(lab: Any) -> Driver:
    spec = lab.spec()
    spec["source"]["bucket"] = "nobody-made-this"
    return lab.drive(spec)


def unreachable_endpoint(lab: Any) -> Driver:
    spec = lab.spec()
    spec["destination"]["endpoint"] = f"http://127.0.0.1:{free_port()}"
    return lab.drive(spec)


def unreachable_database(lab: Any) -> Driver:
    return lab.drive(lab.spec(), secrets={"avatars-db": lab.database | {"PGPORT": str(free_port())}})


def wrong_password(lab: Any) -> Driver:
    driver = lab.drive(lab.spec(), secrets={"avatars-db": lab.database | {"PGPASSWORD": "wrong"}})
    role = lab.database["PGUSER"]
    lab.world.sql(f"GRANT {WITH_PASSWORD} TO {role}; ALTER ROLE {role} PASSWORD 'right'")
    return driver


def unknown_role(lab: Any) -> Driver:
    return lab.drive(lab.spec(), secrets={"avatars-db": lab.database | {"PGUSER": "nobody"}})


def missing_table(lab: Any) -> Driver:
    lab.grants = False
    spec = lab.spec()
    spec["database"]["references"][0]["table"] = "pictures"
    return lab.drive(spec)


def missing_column(lab: Any) -> Driver:
    lab.grants = False
    spec = lab.spec()
    spec["database"]["references"][0]["column"] = "url"
    return lab.drive(spec)


def no_update(lab: Any) -> Driver:
    driver = lab.drive(lab.spec())
    lab.world.sql(f"REVOKE UPDATE (path) ON avatars FROM {lab.database['PGUSER']}")
    return driver


def no_select(lab: Any) -> Driver:
    driver = lab.drive(lab.spec())
    lab.world.sql(f"REVOKE SELECT (path) ON avatars FROM {lab.database['PGUSER']}")  # noqa: S608 - our own role
    return driver


def key_not_unique(lab: Any) -> Driver:
    lab.world.sql("ALTER TABLE avatars ADD owner int DEFAULT 1")
    spec = lab.spec()
    spec["database"]["references"][0]["key"] = "owner"
    return lab.drive(spec)


def column_too_short(lab: Any) -> Driver:
    lab.world.sql("ALTER TABLE avatars ALTER path TYPE varchar(19)")
    return lab.drive(lab.spec())


def looks_legacy_again(lab: Any) -> Driver:
    spec = lab.spec()
    spec["destination"]["prefix"] = "image/new/"
    return lab.drive(spec)


def one_place_under_two_names(lab: Any) -> Driver:
    spec = lab.spec()
    other = lab.endpoint.replace("127.0.0.1", "localhost")
    spec["destination"] = spec["source"] | {"endpoint": other, "prefix": "image/new/"}
    del spec["database"]
    return lab.drive(spec)


def no_write(lab: Any) -> Driver:
    driver = lab.drive(lab.spec())
    lab.forbid("s3:PutObject", f"{lab.world.destination}/.bucketops/*")
    return driver


def no_list(lab: Any) -> Driver:
    driver = lab.drive(lab.spec())
    lab.forbid("s3:ListBucket", lab.world.source)
    return driver


@pytest.mark.parametrize(
    ("case", "why", "words"),
    [
        (no_secret, "CredentialsMissing", ("Secret avatars-s3", "does not exist", "create it")),
        (no_key, "CredentialsMissing", ("Secret avatars-s3", "AWS_SECRET_ACCESS_KEY")),
        (no_database_secret, "CredentialsMissing", ("Secret avatars-db", "DATABASE_URL")),
        (wrong_key, "AccessDenied", ("InvalidAccessKeyId", "Secret")),
        (missing_bucket, "BucketNotFound", ("nobody-made-this", "create the bucket")),
        (unreachable_endpoint, "EndpointUnreachable", ("127.0.0.1", "mend the endpoint")),
        (unreachable_database, "DatabaseUnreachable", ("mend the Secret's host and port",)),
        (wrong_password, "DatabaseRefused", ("password authentication failed",)),
        (unknown_role, "DatabaseRefused", ('role "nobody" does not exist',)),
        (missing_table, "TableNotFound", ("pictures", "spec.database.references")),
        (missing_column, "TableNotFound", ("url", "spec.database.references")),
        (no_update, "AccessDenied", ("GRANT UPDATE (path) ON public.avatars",)),
        (no_select, "AccessDenied", ("GRANT SELECT (id, path) ON public.avatars",)),
        (key_not_unique, "InvalidSpec", ("owner is not unique", "primary key")),
        (column_too_short, "DatabaseRefused", ("holds 19 characters", "need 20", "widen the column")),
        (looks_legacy_again, "Overlap", ("look like legacy paths", "newFormat")),
        (one_place_under_two_names, "Overlap", ("the same bucket", "choose another destination")),
        (no_write, "AccessDenied", ("s3:PutObject", ".bucketops/*")),
        (no_list, "AccessDenied", ("allow s3:ListBucket",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_refused(lab: Any, case: Callable[[Any], Driver], why: str, words: tuple[str, ...]) -> None:
    lab.world.seed(legacy=range(1, 13))
    paths = lab.world.paths()
    found, told = refused(lab, case(lab))
    assert found == why, told
    for word in words:
        assert word in told
    assert lab.world.paths() == paths


def test_what_was_refused_begins_by_itself_once_it_is_mended(lab: Any) -> None:
    """A missing right is granted; nothing else is done."""
    lab.world.seed(legacy=range(1, 6))
    driver = no_update(lab)
    assert refused(lab, driver)[0] == "AccessDenied"
    lab.world.sql(f"GRANT UPDATE (path) ON avatars TO {lab.database['PGUSER']}")
    status = driver.until(lambda status: condition(status, "Complete"))
    assert status["outcomes"]["moved"] == 5
    assert [run["result"] for run in status["runs"] if run["phase"] == "preflight"] == ["Failed", "Succeeded"]


def test_a_second_migration_over_the_same_place_is_refused_and_names_the_first(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    first = lab.drive(lab.spec(cleanup={"policy": "Delete", "grace": "5s"}))
    first.until(lambda status: status["runs"][-1]["phase"] == "sweep")
    found, told = refused(lab, lab.drive(lab.spec(), name="others"))
    assert found == "Claimed"
    assert "S3Migration default/avatars" in told
    assert condition(first.finish(), "Complete")
    assert condition(lab.drive(lab.spec(), name="others").finish(), "Complete")


def test_a_refusal_leaves_no_claim_behind(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    third = f"{lab.world.source}-third"
    lab.world.s3.create_bucket(Bucket=third)
    first = lab.drive(lab.spec(cleanup={"policy": "Delete", "grace": "5s"}))
    first.until(lambda status: status["runs"][-1]["phase"] == "sweep")
    spec = lab.spec()
    spec["source"]["bucket"] = third
    assert refused(lab, lab.drive(spec, name="others"))[0] == "Claimed"
    assert "Contents" not in lab.world.s3.list_objects_v2(Bucket=third, Prefix=".bucketops/")


def test_a_database_of_another_encoding_is_refused(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    latin = lab.database["PGDATABASE"] + "_latin"
    with cursor_of(lab.world.dsn) as cursor:
        cursor.execute(f"CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    lab.world.dsn = lab.world.dsn.replace(lab.database["PGDATABASE"], latin)
    lab.database["PGDATABASE"] = latin
    lab.world.make_table()
    found, told = refused(lab, lab.drive(lab.spec()))
    assert found == "DatabaseRefused"
    assert "LATIN1" in told


def test_a_fresh_legacy_object_is_warned_of(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    driver = lab.drive(lab.spec())
    assert condition(driver.finish(), "Complete")
    told = [event.message for _, event in driver.local.events if event.reason == "PreflightWarning"]
    assert len(told) == 1
    assert "let it write the new form first" in told[0]
    assert lab.world.paths() == [f"avatar/{name(1)}"]
