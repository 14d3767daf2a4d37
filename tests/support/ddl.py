"""Random worlds of DDL: how a table that names objects may be made, and what its database may do with an UPDATE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from support.avatars import LEGACY, World

KEYS = ("a", "A", "b", "B", "m/z", "M/Z", "z", "Z", "é", "e\u0301", "ß", "SS", "a b", "\U0010ffff", "\U0010ffffa")
"""Some differ in case, accents or the form of one letter alone; some are the last that there are."""
TYPES = {
    "text": "",
    "varchar(60)": "",
    "citext": "CREATE EXTENSION citext;",
    "text COLLATE blind": (
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
    ),
    'text COLLATE "und-x-icu"': "",
    "whole": "CREATE DOMAIN whole AS text CHECK (VALUE <> '');",
    "loose": "CREATE EXTENSION citext; CREATE DOMAIN looser AS citext; CREATE DOMAIN loose AS looser;",
    "strict": "CREATE DOMAIN strict AS text CHECK (VALUE NOT LIKE 'avatar/z%');",
    "char(40)": "",
    "name": "",
}
KEY_TYPES = {"int": "{n}", "text": "'k{n}'", "varchar(9)": "'K {n}'", "char(9)": "'k{n}'", "numeric(9,2)": "{n}"}
LAYOUTS = {
    "plain": "CREATE TABLE avatars (id {key} PRIMARY KEY, path {column}, changed int);",
    "hash": "CREATE TABLE avatars (id {key} PRIMARY KEY, path {column}, changed int) PARTITION BY HASH (id);"
    "CREATE TABLE one PARTITION OF avatars FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE two PARTITION OF avatars FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
    "list": "CREATE TABLE avatars (id {key} PRIMARY KEY, path {column}, changed int) PARTITION BY LIST (id);"
    "CREATE TABLE rest PARTITION OF avatars DEFAULT;",
    "inherited": "CREATE TABLE avatars (id {key} PRIMARY KEY, path {column}, changed int);"
    "CREATE TABLE older () INHERITS (avatars);",
    "view": "CREATE TABLE pictures (id {key} PRIMARY KEY, path {column}, changed int);"
    "CREATE VIEW avatars AS SELECT * FROM pictures;",
}
_BODY = "CREATE FUNCTION has_its_say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$;"
_BEFORE = "CREATE TRIGGER says BEFORE UPDATE ON avatars FOR EACH ROW {when} EXECUTE FUNCTION has_its_say();"
_AFTER = "CREATE TRIGGER says AFTER UPDATE ON avatars FOR EACH ROW {when} EXECUTE FUNCTION has_its_say();"
_LATER = (
    "CREATE CONSTRAINT TRIGGER says AFTER UPDATE ON avatars DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {when} "
    "EXECUTE FUNCTION has_its_say();"
)

_ONCE = "IF pg_trigger_depth() = 1 THEN {} END IF; RETURN NULL;"
TRIGGERS = {
    "none": "",
    "minds its own": _BODY.format("NEW.changed := 1; RETURN NEW;") + _BEFORE,
    "keeps": _BODY.format("NEW.path := OLD.path; RETURN NEW;") + _BEFORE,
    "cancels": _BODY.format("RETURN NULL;") + _BEFORE,
    "lowers": _BODY.format("NEW.path := lower(NEW.path::text); RETURN NEW;") + _BEFORE,
    "raises": _BODY.format("RAISE 'never';") + _BEFORE,
    "denies": _BODY.format("RAISE insufficient_privilege;") + _BEFORE,
    "restores": _BODY.format(_ONCE.format("UPDATE avatars SET path = OLD.path WHERE id = NEW.id;")) + _AFTER,
    "restores later": _BODY.format(_ONCE.format("UPDATE avatars SET path = OLD.path WHERE id = NEW.id;")) + _LATER,
    "raises later": _BODY.format("RAISE 'never';") + _LATER,
}
POLICIES = {
    "none": "",
    "hides": "CREATE POLICY some ON {table} USING (id::text LIKE '%2'); ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
    "shows": "CREATE POLICY all_of_it ON {table} USING (true); ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
    "not enabled": "CREATE POLICY some ON {table} USING (id::text LIKE '%2%');",
}
EXTRAS = {
    "none": "",
    "unique": "ALTER TABLE {table} ADD UNIQUE (path);",
    "check": "ALTER TABLE {table} ADD CHECK (path::text NOT LIKE 'avatar/b%');",
    "rule": "CREATE RULE instead AS ON UPDATE TO {table} DO INSTEAD NOTHING;",
    "index": 'CREATE INDEX ON {table} ((path::text) COLLATE "C");',
}


@dataclass
class Ddl:
    """One world: the table, its rows, and what runs in it."""

    column: str
    key: str
    layout: str
    trigger: str
    when: str
    policy: str
    extra: str
    objects: frozenset[str]
    rows: list[str]
    spec: dict[str, Any] = field(default_factory=dict)

    def make(self, world: World, role: str) -> None:
        """Everything anew, in an empty schema and in empty buckets."""
        table = "pictures" if self.layout == "view" else "avatars"
        world.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        world.sql(f"{TYPES[self.column]}GRANT USAGE ON SCHEMA public TO {role}")
        world.sql(LAYOUTS[self.layout].format(key=self.key, column=self.column))
        for number, path in enumerate(self._paths(), 1):
            key = KEY_TYPES[self.key].format(n=number)
            world.sql(f"INSERT INTO {table} VALUES ({key}, %s)", (path,))  # noqa: S608 - our own names
        world.sql((POLICIES[self.policy] + EXTRAS[self.extra]).format(table=table) or "SELECT")
        if self.layout != "view":
            world.sql(TRIGGERS[self.trigger].replace("{when}", self.when) or "SELECT")
        world.sql(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        world.empty()
        for key in self.objects:
            world.s3.put_object(Bucket=world.source, Key=LEGACY + key, Body=key.encode())

    def _paths(self) -> list[str]:
        paths = [LEGACY + key for key in self.rows if key in self.objects]
        if self.extra == "unique":
            paths = list({path.casefold(): path for path in paths}.values())
        return paths

    def wrong(self, world: World) -> list[str]:
        """Rows that name an object which is not there: none ever does, however a run has ended."""
        there = {*world.keys(world.source), *world.keys(world.destination)}
        return [path for path in paths_of(world) if path not in there]

    def legacy(self, world: World) -> list[str]:
        return [path for path in paths_of(world) if path.startswith(LEGACY)]


def paths_of(world: World) -> list[str]:
    """As the administrator, whom no policy concerns."""
    return [path for (path,) in world.sql("SELECT path::text FROM avatars")]


def _of(choices: Any, plain: int) -> st.SearchStrategy[str]:
    """One of them; the first ones, which are no obstacle, more often."""
    names = list(choices)
    return st.sampled_from([*names, *names[:1] * plain])


WORLDS = st.builds(
    Ddl,
    column=_of(TYPES, 0),
    key=_of(KEY_TYPES, 4),
    layout=_of(LAYOUTS, 8),
    trigger=_of(TRIGGERS, 6),
    when=st.sampled_from(["", "WHEN (OLD.id::text LIKE '%1%')"]),
    policy=_of(POLICIES, 10),
    extra=_of(EXTRAS, 5),
    objects=st.frozensets(st.sampled_from(KEYS), min_size=1, max_size=8),
    rows=st.lists(st.sampled_from(KEYS), min_size=1, max_size=10),
    spec=st.fixed_dictionaries(
        {
            "cleanup": st.sampled_from([{"policy": "Delete", "grace": "1s"}, {"policy": "Retain"}]),
            "worker": st.sampled_from([{"shards": n, "parallelism": 2, "concurrency": 4} for n in (1, 2, 4)]),
        }
    ),
)
