"""A migration is rolled back from the middle, by workers that die at any moment, with readers and writers beside."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest

from integration.test_migration_crashes import KILLS, WORKER, never_falls, spec_of
from support.avatars import LEGACY, MODERN, Reader, World, cursor_of, name, picture
from support.background import Background
from support.driver import Driver, condition, message, reason
from support.ending import expect_nothing_wrong
from support.gate import Gate
from support.proxy import Hold, Proxy

pytestmark = pytest.mark.slow


def suspended(lab: Any, gate: Gate, percent: int) -> Driver:
    """A migration that was stopped by its user in the middle of the copy."""
    driver: Driver = lab.drive(spec_of(lab), processes=True)
    gate.reach(percent)
    driver.until(lambda _: gate.rewritten() >= percent)
    driver.change(spec_of(lab, suspend=True))
    driver.step()
    gate.drain()
    driver.until(lambda status: condition(status, "Suspended") and driver.local.observe(driver.resource)[-1].pods == 0)
    gate.open()
    return driver


@pytest.fixture
def gate(lab: Any) -> Gate:
    lab.world.seed(legacy=range(1, 101), modern=range(1001, 1006))
    return Gate(lab.world, objects=100, workers=2, chunk=5)


def expect_as_before(lab: Any, status: dict[str, Any]) -> None:
    assert condition(status, "Complete"), status
    assert lab.world.paths() == [LEGACY + name(n) for n in range(1, 101)] + [
        MODERN + name(n) for n in range(1001, 1006)
    ]
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(n) for n in range(1, 101)}
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1001, 1006)}


def test_it_is_refused_while_the_migration_works_and_begins_by_itself_when_it_rests(lab: Any, gate: Gate) -> None:
    """The migration, let go on afterwards, finds its claim gone; a trigger makes it begin anew."""
    migration = lab.drive(spec_of(lab), processes=True)
    gate.reach(20)
    migration.until(lambda _: gate.rewritten() >= 20)
    undo = lab.drive({"rollbackOf": "avatars", "worker": WORKER}, "undo", origin=migration)
    undo.step()
    assert reason(undo.status, "Stalled") == "Claimed"
    assert "avatars is at work (phase Copying): set spec.suspend: true on it" in message(undo.status, "Stalled")
    assert [event.reason for _, event in undo.local.events] == ["Claimed"]
    migration.change(spec_of(lab, suspend=True))
    migration.step()
    gate.drain()
    migration.until(lambda s: condition(s, "Suspended") and migration.local.observe(migration.resource)[-1].pods == 0)
    gate.open()
    moved = [path for path in lab.world.paths() if path.startswith(MODERN)]
    assert 25 <= len(moved) < 105
    undo.until(lambda status: status["runs"][-1]["phase"] == "copy" if status.get("runs") else False)
    migration.change(spec_of(lab))
    status = migration.finish()
    assert reason(status, "Stalled") == "Claimed"
    assert "S3Migration default/undo has taken the claim" in message(status, "Stalled")
    status = undo.until(lambda s: condition(s, "Complete") or condition(s, "Failed"))
    expect_as_before(lab, status)
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) >= len(moved) - 5
    migration.change(spec_of(lab, trigger="anew"))
    status = migration.until(lambda s: condition(s, "Complete") or condition(s, "Failed"))
    assert condition(status, "Complete"), status
    assert lab.world.keys(lab.world.source) == {}


def test_workers_killed_in_the_middle_of_bringing_back(lab: Any, gate: Gate) -> None:
    """In the copy and in the deletion, a reader beside: the end is the same, and every count adds up."""
    gate.open()
    begun = threading.Event()  # until then both try what their servers can do, by deletions too
    bulk = f"/{lab.world.destination}?delete"
    deletes = Hold(lambda r: begun.is_set() and r.method == "POST" and r.path.startswith(bulk))
    with Proxy(lab.endpoint, rule=deletes) as proxy:
        migration = lab.drive(json.loads(json.dumps(spec_of(lab)).replace(lab.endpoint, proxy.url)))
        assert condition(migration.finish(), "Complete")
        lab.world.sql(_BACKWARD)
        spec = {"rollbackOf": "avatars", "worker": WORKER, "cleanup": {"policy": "Delete", "grace": "3s"}}
        undo = lab.drive(spec, "undo", processes=True, origin=migration)
        with Reader(lab.world, pause=0.01) as reader:
            undo.until(lambda s: s["runs"][-1]["phase"] == "copy" if s.get("runs") else False)
            begun.set()
            status = _killed(lab.world, undo, deletes)
    expect_as_before(lab, status)
    expect_nothing_wrong(reader, reads=100)
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == 100
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values()) == 100
    never_falls(undo)


def _killed(world: World, undo: Driver, deletes: Hold) -> dict[str, Any]:
    """Three times in the copy, twice in the deletion."""
    for rows in KILLS:
        world.sql("UPDATE gate SET rewritten = %s", (rows + 10,))
        undo.until(lambda _, least=rows: _brought_back(world) >= least)
        undo.kill_workers()
    world.sql("UPDATE gate SET rewritten = 100000")
    deletes.let(1)
    for came in (2, 3):
        undo.until(lambda _, least=came: deletes.came >= least)
        undo.kill_workers()
    deletes.let(10**6)
    return undo.finish()


_BACKWARD = """
CREATE OR REPLACE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    WHILE (SELECT count(*) FROM avatars WHERE path LIKE 'image/%') >= (SELECT rewritten FROM gate) LOOP
        PERFORM pg_sleep(0.05);
    END LOOP;
    RETURN NULL;
END $$;
"""


def _brought_back(world: World) -> int:
    ((count,),) = world.sql("SELECT count(*) FROM avatars WHERE path LIKE %s", (f"{LEGACY}%",))
    return int(count)


def test_a_migration_that_nobody_can_ask_is_rolled_back_once_its_journal_is_quiet(lab: Any, gate: Gate) -> None:
    """As on a laptop, where `bucketops run` was killed: the claim tells of it, the journal whether it still works."""
    migration = suspended(lab, gate, 20)
    migration.local.statuses.clear()
    undo = lab.drive({"rollbackOf": "avatars", "worker": WORKER}, "undo", origin=migration)
    status = undo.finish()
    assert reason(status, "Stalled") == "Claimed"
    assert "so it may be at work: stop it (spec.suspend: true, or Ctrl-C), wait 30 s" in message(status, "Stalled")
    status = undo.until(lambda s: condition(s, "Complete") or condition(s, "Failed"))
    expect_as_before(lab, status)


class Application(Background):
    """Replaces pictures where their rows name them, makes and deletes some: new ones in the legacy form again."""

    def __init__(self, world: World, first: int) -> None:
        super().__init__(self._run)
        self.world, self.next = world, first
        self.newest: dict[int, int] = dict.fromkeys(range(1, first), 0)
        self.deleted: set[int] = set()

    def _run(self) -> None:
        chance = random.Random(3)
        with cursor_of(self.world.dsn) as cursor:
            while self.going(0.01):
                dice = chance.random()
                if dice < 0.2:
                    self._make(cursor)
                elif dice < 0.3:
                    self._delete(cursor, chance.randrange(1, self.next))
                else:
                    self._replace(cursor, chance.randrange(1, self.next))

    def _make(self, cursor: Any) -> None:
        number, self.next = self.next, self.next + 1
        self._put(LEGACY + name(number), number, 0)
        cursor.execute("INSERT INTO avatars (id, path) VALUES (%s, %s)", (number, LEGACY + name(number)))
        self.newest[number] = 0

    def _delete(self, cursor: Any, number: int) -> None:
        cursor.execute("DELETE FROM avatars WHERE id = %s RETURNING path", (number,))
        found = cursor.fetchone()
        if found:
            self._remove(found[0])
            self.deleted.add(number)

    def _replace(self, cursor: Any, number: int) -> None:
        """Once each: a late write by a stale path and another by the new one would be a conflict, and rightly so."""
        cursor.execute("SELECT path FROM avatars WHERE id = %s", (number,))
        found = cursor.fetchone()
        if found and not self.newest[number]:
            self._put(found[0], number, 1)
            self.newest[number] = 1

    def _put(self, path: str, number: int, version: int) -> None:
        self.world.s3.put_object(Bucket=self._bucket(path), Key=path, Body=picture(number, version))

    def _remove(self, path: str) -> None:
        self.world.s3.delete_object(Bucket=self._bucket(path), Key=path)

    def _bucket(self, path: str) -> str:
        return self.world.source if path.startswith(LEGACY) else self.world.destination


def test_a_busy_application_loses_nothing_while_its_pictures_come_back(lab: Any) -> None:
    """It has been rolled back to its old version, which writes the legacy form; it works on all the while."""
    lab.world.seed(legacy=range(1, 151))
    spec = lab.spec(chunk=10)
    migration = lab.drive(spec)
    assert condition(migration.finish(), "Complete")
    undo = lab.drive(
        {"rollbackOf": "avatars", "cleanup": {"policy": "Delete", "grace": "3s"}}, "undo", origin=migration
    )
    with Application(lab.world, first=151) as application:
        undo.until(lambda status: [run["phase"] for run in status["runs"]].count("sweep") >= 2)
    status = undo.finish()
    assert condition(status, "Complete"), status
    rows = dict(lab.world.sql("SELECT id, path FROM avatars"))
    assert set(rows) == set(application.newest) - application.deleted
    for number, path in rows.items():
        assert path == LEGACY + name(number)
        assert lab.world.body(lab.world.source, path) == picture(number, application.newest[number]), path
    left = set(lab.world.keys(lab.world.destination))
    assert left <= {MODERN + name(n) for n in application.deleted}, "without its copy no object is deleted"
    assert application.next > 151
    assert application.deleted
    assert sum(status["outcomes"].values()) == 150
    assert sum(status["rowOutcomes"].values()) == 150
