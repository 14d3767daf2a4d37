"""How keys are written in columns, and which keys, tables and places there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.avatars import LEGACY, MODERN, name
from support.driver import Driver, condition, driving
from support.identities import anybody
from support.places import Place, spec

pytestmark = pytest.mark.slow

ODD = (
    "a b",
    "a+b",
    "100%",
    "%20",
    "ü/ß",
    "日本.png",
    "q?x=1&y=2",
    '\'"quoted"',
    "~!@#$^()[]{}",
    "/".join(["x" * 240] * 4),
    "%41",
    "A",
    "a",
    "\u00e9",  # é in one character …
    "e\u0301",  # … and in two: NFC and NFD are two keys
    "\u212b",  # the ångström sign, which NFC makes an Å
    "\u00c5",
    "\ufb01",  # a ligature, which NFKC makes fi
    "fi",
    " leading and trailing ",
    "tab\there",
)
"""What MinIO takes; the fake store takes more (tests/integration/test_store.py)."""


def reference(**changes: str) -> dict[str, str]:
    return {"table": "avatars", "key": "id", "column": "path"} | changes


def migrate(lab: Any, *references: dict[str, str], **changes: Any) -> dict[str, Any]:
    spec = lab.spec(filter={}, **changes)
    spec["database"]["references"] = list(references)
    driver: Driver = lab.drive(spec)
    status = driver.finish()
    assert condition(status, "Complete"), status
    return status


def put(lab: Any, *keys: str) -> None:
    for key in keys:
        lab.world.s3.put_object(Bucket=lab.world.source, Key=LEGACY + key, Body=key.encode())


def moved(lab: Any) -> set[str]:
    assert lab.world.keys(lab.world.source) == {}
    return {key.removeprefix(MODERN) for key in lab.world.keys(lab.world.destination)}


def test_keys_are_opaque(lab: Any) -> None:
    lab.world.seed(legacy=[])
    lab.world.sql("ALTER TABLE avatars ALTER path TYPE text")
    put(lab, *ODD)
    lab.world.insert([LEGACY + key for key in ODD])
    status = migrate(lab, reference())
    assert moved(lab) == set(ODD)
    assert lab.world.paths() == [MODERN + key for key in ODD]
    assert status["rowOutcomes"]["rewritten"] == len(ODD)
    assert lab.world.body(lab.world.destination, MODERN + "a+b") == b"a+b"


def test_the_object_that_is_named_as_the_prefix_moves_too(lab: Any) -> None:
    lab.world.seed(legacy=[1, 2])
    lab.world.s3.put_object(Bucket=lab.world.source, Key=LEGACY, Body=b"")
    assert migrate(lab, reference())["outcomes"]["moved"] == 3
    assert moved(lab) == {"", name(1), name(2)}


def test_urls_are_rewritten_in_their_new_form(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "one.png", "two.png")
    lab.world.insert(["https://legacy-url/image/one.png", "https://elsewhere/image/two.png"])
    migrate(lab, reference(format="https://legacy-url/{key}", newFormat="https://cdn/{key}?v=2"))
    assert lab.world.paths() == ["https://cdn/avatar/one.png?v=2", "https://elsewhere/image/two.png"]


def test_percent_encoded_values_are_read_in_every_spelling_and_written_in_one(lab: Any) -> None:
    lab.world.seed(legacy=[])
    put(lab, "a b+ü.png")
    lab.world.insert(["/image/a%20b%2B%C3%BC.png", "/image/a%20b%2b%c3%bc.png", "/%69mage/a%20b+%C3%BC.png"])
    status = migrate(lab, reference(format="/{key:url}"))
    assert set(lab.world.paths()) == {"/avatar/a%20b%2B%C3%BC.png"}
    assert status["rowOutcomes"]["rewritten"] == 3


def test_a_filter_less_column_keeps_what_is_no_path_of_ours(lab: Any) -> None:
    lab.world.seed(legacy=[1])
    others = ["", "images/1.png", "IMAGE/1.png", "avatar", "x/image/1.png"]
    lab.world.insert(others)
    migrate(lab, reference())
    assert lab.world.paths() == [MODERN + name(1), *others]


def test_two_columns_name_the_same_objects(lab: Any) -> None:
    lab.world.seed(legacy=[1, 2, 3])
    lab.world.sql("CREATE SCHEMA shop; CREATE TABLE shop.thumbs (code text PRIMARY KEY, src text)")
    lab.world.sql("INSERT INTO shop.thumbs VALUES ('x', 'image/avatar-2.png'), ('y', NULL), ('z', 'avatar/none.png')")
    thumbs = {"schema": "shop", "table": "thumbs", "key": "code", "column": "src"}
    status = migrate(lab, reference(), thumbs)
    assert lab.world.sql("SELECT code, src FROM shop.thumbs ORDER BY code") == [
        ("x", MODERN + name(2)),
        ("y", None),
        ("z", "avatar/none.png"),
    ]
    assert status["rowOutcomes"]["rewritten"] == 4


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("uuid", ["6f2c1c1e-0000-4000-8000-000000000001", "6f2c1c1e-0000-4000-8000-00000000000a"]),
        ("text", ["with space", "quote'\"\\ %s ü"]),
        ("varchar(9)", ["a", "b"]),
        ("bigint", ["-5", "9007199254740993"]),
        ("numeric(20,3)", ["1.500", "2.250"]),
        ("timestamptz", ["2026-01-01 00:00:00.123456+00", "2026-06-01 00:00:00+00"]),
    ],
)
def test_primary_keys_of_any_type(lab: Any, type_: str, values: list[str]) -> None:
    lab.world.seed(legacy=[1, 2])
    lab.world.sql(f'CREATE TABLE "Odd Table" ("the key" {type_} PRIMARY KEY, "Path" text)')
    for number, value in enumerate(values, 1):
        lab.world.sql('INSERT INTO "Odd Table" VALUES (%s, %s)', (value, LEGACY + name(number)))
    migrate(lab, {"table": "Odd Table", "key": "the key", "column": "Path"})
    assert {path for (path,) in lab.world.sql('SELECT "Path" FROM "Odd Table"')} == {MODERN + name(1), MODERN + name(2)}


def test_keys_are_as_long_as_keys_may_be(lab: Any) -> None:
    """1,024 bytes on both sides move; one that would be longer stays, is named beforehand, and fails alone."""
    lab.world.seed(legacy=[])
    lab.world.sql("ALTER TABLE avatars ALTER path TYPE text")
    longest = "/".join(["y" * 200] * 5)
    longest += "é" * ((1024 - len(MODERN) - len(longest)) // 2) + "z" * ((1024 - len(MODERN) - len(longest)) % 2)
    assert len((MODERN + longest).encode()) == 1024
    put(lab, longest, longest + "!")
    lab.world.insert([LEGACY + longest, LEGACY + longest + "!"])
    spec = lab.spec(filter={})
    driver = lab.drive(spec)
    status = driver.finish()
    told = [event.message for _, event in driver.local.events if event.reason == "PreflightWarning"]
    assert any("1 keys would be longer than 1024 bytes" in text for text in told), told
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (1, 1), status
    assert lab.world.paths() == [MODERN + longest, LEGACY + longest + "!"]
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + longest + "!"}


def test_odd_keys_within_one_bucket(lab: Any) -> None:
    lab.world.destination = lab.world.source
    lab.world.seed(legacy=[])
    lab.world.sql("ALTER TABLE avatars ALTER path TYPE text")
    put(lab, "", *ODD)
    lab.world.insert([LEGACY + key for key in ODD])
    migrate(lab, reference())
    assert set(lab.world.keys(lab.world.source)) == {MODERN + key for key in ("", *ODD)}
    assert lab.world.paths() == [MODERN + key for key in ODD]


def test_both_prefixes_in_one_bucket(lab: Any) -> None:
    lab.world.destination = lab.world.source
    lab.world.seed(legacy=range(1, 6))
    migrate(lab, reference())
    assert set(lab.world.keys(lab.world.source)) == {MODERN + name(n) for n in range(1, 6)}


def test_records_in_a_bucket_of_their_own(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    records = f"{lab.world.source}-records"
    lab.world.s3.create_bucket(Bucket=records)
    place = {"endpoint": lab.endpoint, "credentials": {"secretRef": {"name": "avatars-s3"}}}
    status = migrate(lab, reference(), records={"bucket": records, "prefix": "ops/", **place})
    assert status["records"].startswith(f"s3://{records}/ops/.bucketops/s3migration/default/avatars/")
    kept = lab.world.s3.list_objects_v2(Bucket=records)["Contents"]
    assert any("/journal/" in row["Key"] for row in kept)
    assert "Contents" not in lab.world.s3.list_objects_v2(Bucket=lab.world.destination, Prefix=".bucketops/")


def test_a_chunk_smaller_than_the_world_and_more_shards_than_pods(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 41))
    spec = lab.spec(chunk=3, worker={"parallelism": 2, "shards": 5, "concurrency": 4})
    status = lab.drive(spec).finish()
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 40
    assert status["plan"]["shards"] == 5


def test_double_and_leading_slashes_where_the_server_has_them(lab: Any, moto: str, tmp_path: Path) -> None:
    """MinIO and versitygw have no such keys; moto keeps any, as AWS does. Rows and objects are right afterwards."""
    keys = ("a//b", "/lead", "//", "./x", "a/../b", "plain", "dir/")
    source, destination = (Place("moto", moto).make() for _ in range(2))
    for key in keys:
        source.put(f"image/{key}")
    lab.world.make_table()
    lab.world.insert([LEGACY + key for key in keys])
    lab.world.sql(f"GRANT SELECT, UPDATE ON avatars TO {lab.database['PGUSER']}")
    wanted = spec(source, destination, database=lab.spec()["database"])
    given = {"one": anybody().secret(), "other": anybody().secret(), "avatars-db": lab.database}
    with driving(tmp_path / "moto", given, wanted, processes=False) as driver:
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert destination.keys("avatar/") == set(keys)
    assert source.keys("image/") == set()
    assert lab.world.paths() == [MODERN + key for key in keys]
