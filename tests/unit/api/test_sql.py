"""Identifiers of PostgreSQL as they can be typed."""

from __future__ import annotations

import pytest

from bucketops_api.privileges.migration import sql_grants
from bucketops_api.privileges.sql import typed
from bucketops_api.v1alpha1.migration import Database, Reference

DATABASE = {"credentials": {"secretRef": {"name": "db"}}}


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("public", "avatars", "path"), "public.avatars.path"),
        (("My App", "user", "select"), '"My App"."user"."select"'),
        (('a"b', "us.er%s"), '"a""b"."us.er%s"'),
        (("Ünï", "_x1"), '"Ünï"._x1'),
        (("date", "1st"), 'date."1st"'),
    ],
)
def test_identifiers_have_the_quotes_that_they_need(names: tuple[str, ...], text: str) -> None:
    assert typed(*names) == text


def test_grants_name_every_column_of_the_key() -> None:
    database = Database.model_validate(
        DATABASE | {"references": [{"table": "User", "key": ["id", "created"], "column": "pa%th"}]}
    )
    assert sql_grants(database, "mover")[-1] == (
        'GRANT SELECT ("id", "created", "pa%th"), UPDATE ("pa%th") ON "public"."User" TO "mover";'
    )


@pytest.mark.parametrize("key", [[], ["id", "id"], [""], 5, {"a": "b"}, [["id"]], ["x" * 64], None])
def test_a_key_is_a_column_or_a_list_of_columns(key: object) -> None:
    with pytest.raises(ValueError, match=r"key"):
        Reference.model_validate({"table": "avatars", "column": "path", "key": key})


@pytest.mark.parametrize(("key", "columns"), [("id", ("id",)), (["id"], ("id",)), (["id", "day"], ("id", "day"))])
def test_a_key_has_columns(key: object, columns: tuple[str, ...]) -> None:
    assert Reference.model_validate({"table": "avatars", "column": "path", "key": key}).keys == columns
