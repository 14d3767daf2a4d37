"""Secrets of the database that cannot serve: refused at once, in whatever language, and without a password."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.avatars import cursor_of
from support.driver import Driver, condition, message, reason
from support.lab import Lab, laboratory
from support.servers import WITH_PASSWORD, dsn_of, start_postgres

PASSWORD = "S3cr3t-canary"


def url(lab: Any, password: str = PASSWORD, query: str = "", scheme: str = "postgresql") -> dict[str, str]:
    given = lab.database
    where = f"{given['PGHOST']}:{given['PGPORT']}/{given['PGDATABASE']}"
    return {"DATABASE_URL": f"{scheme}://{given['PGUSER']}:{password}@{where}{query}"}


def drive(lab: Any, secret: dict[str, str]) -> Driver:
    driver: Driver = lab.drive(lab.spec(), secrets={"avatars-db": secret})
    driver.finish()
    return driver


def with_password(lab: Any) -> None:
    role = lab.database["PGUSER"]
    with cursor_of(dsn_of(int(lab.database["PGPORT"]))) as cursor:
        cursor.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
        cursor.execute(f"GRANT {WITH_PASSWORD} TO {role}")


def test_a_url_of_a_framework_works(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    with_password(lab)
    query = "?schema=public&pgbouncer=true&connection_limit=1"
    status = drive(lab, url(lab, query=query, scheme="postgresql+psycopg2")).status
    assert condition(status, "Complete"), status


@pytest.mark.parametrize(
    ("secret", "why", "words"),
    [
        ({"password": f"{PASSWORD}%zz"}, "InvalidSpec", "DATABASE_URL: a % in it"),
        ({"password": f"{PASSWORD}/x@y"}, "InvalidSpec", "DATABASE_URL: an @, /"),
        ({"query": "?sslmode=require"}, "DatabaseRefused", "does not support SSL"),
        ({"query": "?sslmode=verify-full&sslrootcert=system"}, "DatabaseRefused", "does not support SSL"),
        ({"query": "?sslmode=verify-full"}, "DatabaseRefused", "does not support SSL"),
        ({"query": "?sslmode=verify-full&sslrootcert=/tmp/x"}, "InvalidSpec", "DATABASE_URL: sslrootcert"),
        ({"password": f"{PASSWORD}-wrong"}, "DatabaseRefused", "authentication failed"),
    ],
)
def test_what_cannot_serve_is_refused_at_once(lab: Any, secret: dict[str, str], why: str, words: str) -> None:
    lab.world.make_buckets()
    lab.world.make_table()
    with_password(lab)
    driver = drive(lab, url(lab, **secret))
    assert (reason(driver.status, "Stalled"), len(driver.status["runs"])) == (why, 1), driver.status
    assert words in message(driver.status, "Stalled")
    assert PASSWORD not in str(driver.seen) + str(driver.local.events)


def test_a_ca_without_a_mode_is_not_given_up_for_a_server_without_tls(lab: Any) -> None:
    """libpq's own default would go on in plain text, and say nothing."""
    lab.world.seed(legacy=[1])
    named = {"sslrootcert": "ca.crt", "ca.crt": "an authority"}
    driver = drive(lab, lab.database | named)
    assert reason(driver.status, "Stalled") == "DatabaseRefused"
    assert "does not support SSL" in message(driver.status, "Stalled")
    driver = lab.drive(lab.spec(), name="others", secrets={"avatars-db": lab.database | named | {"sslmode": "prefer"}})
    assert condition(driver.finish(), "Complete"), driver.status
    told = [event.message for _, event in driver.local.events if event.reason == "PreflightWarning"]
    assert "with sslmode prefer no certificate is verified" in "; ".join(told)


@pytest.fixture(scope="module")
def german() -> Iterator[int]:
    """A server whose messages are German, as `lc_messages` has it."""
    with tempfile.TemporaryDirectory(prefix="bucketops-postgres-") as folder:
        before = os.environ.get("LANGUAGE")
        os.environ["LANGUAGE"] = "de"
        try:
            server = start_postgres(Path(folder))
        finally:
            os.environ.pop("LANGUAGE") if before is None else os.environ.update(LANGUAGE=before)
        with cursor_of(dsn_of(server.port)) as cursor:
            cursor.execute("ALTER SYSTEM SET lc_messages = 'C.UTF-8'")  # C itself would never be translated
            cursor.execute("SELECT pg_reload_conf()")
        yield server.port
        server.stop()


@pytest.fixture
def german_lab(minio: str, german: int, tmp_path: Path) -> Iterator[Lab]:
    with laboratory(minio, german, tmp_path) as lab:
        yield lab


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PGPASSWORD": "wrong"}, "fehlgeschlagen"),
        ({"PGPASSWORD": PASSWORD, "PGDATABASE": "absent"}, "existiert nicht"),
    ],
)
def test_a_refusal_is_understood_in_any_language(german_lab: Lab, change: dict[str, str], words: str) -> None:
    german_lab.world.make_buckets()
    german_lab.world.make_table()
    with_password(german_lab)
    driver = drive(german_lab, german_lab.database | change)
    assert (reason(driver.status, "Stalled"), len(driver.status["runs"])) == ("DatabaseRefused", 1)
    assert words in message(driver.status, "Stalled")
