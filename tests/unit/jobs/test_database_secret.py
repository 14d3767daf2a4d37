"""What a Secret says of the database is followed or refused; never weakened, and never in a message."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import make_dsn, parse_dsn

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.migration import Database
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import dsn, libpq
from bucketops_jobs.migration.connection import parameters, unverified

PASSWORD = "S3cr3t-canary"
PLAIN = {"PGHOST": "db", "PGUSER": "app", "PGPASSWORD": PASSWORD, "PGDATABASE": "shop"}
URL = f"postgresql://app:{PASSWORD}@db:5432/shop"


def read(root: Path, secret: dict[str, str], **spec: Any) -> dict[str, Any]:
    """The parameters by a mounted Secret; libpq takes them."""
    folder = root / names.SECRETS_DIR / "db"
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in secret.items():
        (folder / key).write_text(value)
    reference = {"table": "t", "column": "c"}
    database = {"credentials": {"secretRef": {"name": "db"}}, "references": [reference]} | spec
    found = parameters(Database.model_validate(database), root)
    parse_dsn(make_dsn(**found))
    return found


def refusal(root: Path, secret: dict[str, str], **spec: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(root, secret, **spec)
    assert caught.value.reason is Reason.INVALID_SPEC, caught.value
    return str(caught.value)


@pytest.mark.parametrize(
    "scheme",
    ["postgresql", "postgres", "PostgreSQL", "postgresql+psycopg2", "postgresql+asyncpg", "postgres+pg8000", "pgsql"],
)
@pytest.mark.parametrize("before", ["", "jdbc:"])
def test_a_url_of_any_framework_leads_to_the_same_place(tmp_path: Path, scheme: str, before: str) -> None:
    found = read(tmp_path, {"DATABASE_URL": f"{before}{scheme}://app:{PASSWORD}@db:5432/shop"})
    assert (found["host"], found["port"], found["user"], found["dbname"]) == ("db", "5432", "app", "shop")
    assert found["password"] == PASSWORD


@pytest.mark.parametrize(
    "query",
    [
        "pgbouncer=true&connection_limit=1", "schema=public", "currentSchema=public", "pool_timeout=10&pool=5",
        "prepareThreshold=0&ApplicationName=shop", "target_session_attrs=read-write", "targetServerType=primary",
        "application_name=shop", "prepared_statement_cache_size=0", "readOnly=false",
    ],
)  # fmt: skip
def test_what_means_nothing_here_is_left_out(tmp_path: Path, query: str) -> None:
    assert read(tmp_path, {"DATABASE_URL": f"{URL}?{query}"}) == read(tmp_path, {"DATABASE_URL": URL})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("options=-csearch_path%3Dx", "options"), ("service=x", "service"), ("passfile=/etc/passwd", "passfile"),
        ("schema=other", "schema"), ("sslcert=/etc/passwd", "sslcert"), ("sslkey=../other/key", "sslkey"),
        ("sslrootcert=/etc/ssl/ca.pem", "sslrootcert"), ("sslrootcert=absent.crt", "sslrootcert"),
        ("target_session_attrs=standby", "target_session_attrs"), ("targetServerType=secondary", "targetServerType"),
        ("ssl=true", "ssl"), ("sslaccept=strict", "sslaccept"), ("sslmode=verified", "sslmode"),
        ("readOnly=true", "readOnly"), ("sslmode=require&sslmode=disable", "sslmode"), ("something=else", "something"),
        ("channel_binding=maybe", "channel_binding"), ("user=other", "user"), ("host=other", "host"),
        ("replication=database", "replication"), ("TimeZone=UTC", "TimeZone"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_by_name(tmp_path: Path, query: str, said: str) -> None:
    words = refusal(tmp_path, {"DATABASE_URL": f"{URL}?{query}"})
    assert f"DATABASE_URL: {said}" in words
    assert PASSWORD not in words
    for part in ("/etc/passwd", "../other/key", "/etc/ssl/ca.pem", "absent.crt", "verified", "maybe", "secondary"):
        assert part not in words


@pytest.mark.parametrize(
    "text",
    [
        "postgres//app:{}@db/shop", "postgresql://app:{}%zz@db/shop", "postgresql://app:{}%@db/shop",
        "postgresql://app:{}@x@db/shop", "postgresql://app:{}/x@db/shop", "postgresql://app:a/b@{}@db/shop",
        "postgresql://app:a b{}@db/shop", "postgresql://app:{}?x@db/shop", "postgresql://app:{}",
        "postgresql://app:{}/shop", "mysql://app:{}@db/shop", "host=db user=app password=a {} dbname=shop",
        "host=db user=app password=a {}=b dbname=shop", "host=db user=app password='{} dbname=shop", '"{}"', "{}",
        "postgresql://db/shop?user=app&password=a&{}=b", "postgresql://db/shop?user=app&password=a&{}",
        "postgresql://app:x@db:{}/shop", "postgresql://app:x@[{}]/shop", "postgresql://app:x@db/shop?a=b={}",
        "postgresql://app:%ff{}@db/shop", "postgresql://app:x@db/shop#{}", "postgresql://app:a?{}=b@db/shop",
        "{}://app:x@db/shop", "postgresql://app:x@db;{}/shop", "postgresql://app:\n{}@db/shop",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_without_a_part_of_it(tmp_path: Path, text: str) -> None:
    words = refusal(tmp_path, {"DATABASE_URL": text.format(PASSWORD)})
    assert "DATABASE_URL" in words
    assert PASSWORD not in words
    assert PASSWORD.lower() not in words.lower()


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_password_is_read_back_from_both_forms(password: str) -> None:
    url = {p.name: p.value for p in dsn.parse(f"postgresql://app:{quote(password, safe='')}@db/shop")}
    assert url["password"] == password
    pairs = {p.name: p.value for p in dsn.parse(make_dsn(host="db", user="app", password=password, dbname="shop"))}
    assert pairs["password"] == password


@given(
    st.lists(st.sampled_from([*":@/?#&=%,[]~ ", "%41", "%2", "host", "user", "password", "db", "1", "::1"])).map(
        "".join
    )
)
def test_what_is_read_is_read_as_libpq_reads_it(rest: str) -> None:
    """A string may be refused here that libpq takes, but never taken for another place, user or password."""
    text = f"postgresql://{rest}"
    with suppress(dsn.DsnError, psycopg2.Error):
        ours = {p.name: p.value for p in dsn.parse(text)}
        if all(name in libpq.TAKEN and libpq.fits(name, value) for name, value in ours.items()):
            assert ours == parse_dsn(text)


MODES = libpq.MODES


@pytest.mark.parametrize("key", ["DATABASE_URL", "uri", "PGSSLMODE", "sslmode"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", [None, *MODES])
def test_tls_is_as_strong_as_the_secret_wants_it_or_stronger(
    tmp_path: Path, key: str, mode: str, spec: str | None
) -> None:
    secret = {key: f"{URL}?sslmode={mode}"} if key in {"DATABASE_URL", "uri"} else PLAIN | {key: mode}
    wanted = {} if spec is None else {"sslMode": spec}
    if spec is not None and MODES.index(spec) < MODES.index(mode):
        assert "sslMode is weaker than what the Secret says" in refusal(tmp_path, secret, **wanted)
    else:
        assert read(tmp_path, secret, **wanted)["sslmode"] == (spec or mode)


def test_without_a_word_of_anybody_tls_is_taken_where_the_server_has_it(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN)["sslmode"] == "prefer"


@pytest.mark.parametrize(
    ("secret", "mode"),
    [
        ({"DATABASE_URL": URL, "PGSSLMODE": "verify-full"}, "verify-full"),
        ({"DATABASE_URL": f"{URL}?ssl=require"}, "require"),
        (PLAIN | {"PGREQUIRESSL": "1"}, "require"),
        ({"DATABASE_URL": f"{URL}?sslrootcert=system"}, "verify-full"),
        (PLAIN | {"PGSSLROOTCERT": "system"}, "verify-full"),
    ],
)
def test_every_way_to_ask_for_tls_is_heard(tmp_path: Path, secret: dict[str, str], mode: str) -> None:
    assert read(tmp_path, secret)["sslmode"] == mode


def test_files_of_tls_are_keys_of_the_secret(tmp_path: Path) -> None:
    files = {"ca.crt": "an authority", "tls.crt": "a certificate", "tls.key": "a key"}
    query = "sslmode=verify-full&sslrootcert=ca.crt&sslcert=tls.crt&sslkey=tls.key"
    found = read(tmp_path, {"DATABASE_URL": f"{URL}?{query}"} | files)
    assert [Path(found[name]).read_text() for name in ("sslrootcert", "sslcert", "sslkey")] == list(files.values())
    assert Path(found["sslkey"]).stat().st_mode & 0o777 == 0o600  # libpq takes no other


def test_the_specs_bundle_takes_the_place_of_the_secrets_path(tmp_path: Path) -> None:
    (tmp_path / names.CONFIG_MAPS_DIR / "ca").mkdir(parents=True)
    (tmp_path / names.CONFIG_MAPS_DIR / "ca" / "ca.crt").write_text("an authority")
    bundle = {"configMapRef": {"name": "ca", "key": "ca.crt"}}
    found = read(tmp_path, {"DATABASE_URL": f"{URL}?sslmode=verify-full&sslrootcert=/app/ca.pem"}, caBundle=bundle)
    assert found["sslmode"] == "verify-full"
    assert Path(found["sslrootcert"]).read_text() == "an authority"


BUNDLE = {"caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}


@pytest.mark.parametrize(
    ("secret", "spec", "mode"),
    [
        ({}, BUNDLE, "verify-full"),
        ({"PGSSLROOTCERT": "ca.crt"}, {}, "verify-full"),
        ({"PGSSLMODE": "require"}, BUNDLE, "require"),
        ({}, BUNDLE | {"sslMode": "verify-ca"}, "verify-ca"),
        ({"PGSSLMODE": "prefer"}, BUNDLE, "prefer"),
        ({"PGSSLROOTCERT": "ca.crt", "PGSSLMODE": "allow"}, {}, "allow"),
        ({}, BUNDLE | {"sslMode": "disable"}, "disable"),
    ],
)
def test_who_names_a_ca_has_the_server_verified_or_is_warned(
    tmp_path: Path, secret: dict[str, str], spec: dict[str, Any], mode: str
) -> None:
    (tmp_path / names.CONFIG_MAPS_DIR / "ca").mkdir(parents=True)
    (tmp_path / names.CONFIG_MAPS_DIR / "ca" / "ca.crt").write_text("an authority")
    assert read(tmp_path, PLAIN | {"ca.crt": "an authority"} | secret, **spec)["sslmode"] == mode
    database = {"credentials": {"secretRef": {"name": "db"}}, "references": [{"table": "t", "column": "c"}]}
    told = list(unverified(Database.model_validate(database | spec), tmp_path))
    assert len(told) == (mode in {"prefer", "allow", "disable"})
    assert all(f"sslmode {mode} no certificate is verified" in one for one in told)


def test_variables_fill_what_a_url_leaves_out(tmp_path: Path) -> None:
    found = read(
        tmp_path, {"uri": "postgresql://app@db/shop"} | PLAIN | {"PGUSER": "other", "PGCHANNELBINDING": "require"}
    )
    assert (found["user"], found["password"], found["channel_binding"]) == ("app", PASSWORD, "require")


@pytest.mark.parametrize("key", ["PGSERVICE", "PGSERVICEFILE", "PGPASSFILE", "PGOPTIONS", "PGSSLKEY", "PGGSSLIB"])
def test_variables_that_cannot_be_followed_are_refused_by_name(tmp_path: Path, key: str) -> None:
    assert f"(database): {key}" in refusal(tmp_path, PLAIN | {key: "/etc/passwd"})


def test_several_hosts_are_tried_for_the_primary(tmp_path: Path) -> None:
    url = f"postgresql://app:{PASSWORD}@one:5433,[::1]:5434/shop?target_session_attrs=any"
    found = read(tmp_path, {"DATABASE_URL": url})
    assert (found["host"], found["port"], found["target_session_attrs"]) == ("one,::1", "5433,5434", "primary")


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("postgresql:///shop?user=app", "PGHOST"),
        ("postgresql://db/shop", "PGUSER"),
        ("postgresql://app@db", "PGDATABASE"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, url: str, missing: str) -> None:
    with pytest.raises(UserError, match=f"DATABASE_URL that names no {missing}"):
        read(tmp_path, {"DATABASE_URL": url})
