"""The delete phase on stores in memory: what happens between the walk and the request counts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import PreconditionFailedError, TransientError, UserError, WorkerError
from bucketops_jobs.migration import claim, delete
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.journal import Reader, Writer
from bucketops_jobs.migration.merge import Entry, Outcome, Row
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.pace import Pace
from bucketops_jobs.records import Records
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import Object
from bucketops_jobs.shards import Range
from bucketops_jobs.tally import Tally

KEYS = [f"k{number}" for number in range(5)]


@dataclass
class StubRows:
    """A database in which nothing names the legacy place, until somebody writes there while we look."""

    while_fenced: Callable[[], object] = lambda: None
    named: set[str] = field(default_factory=set)

    def load(self, _: object) -> Iterator[tuple[str, Row]]:
        return iter(())

    def fence(self, _: object) -> None:
        self.while_fenced()

    def naming(self, keys: Iterable[str]) -> set[str]:
        return self.named & set(keys)


@dataclass
class Scene:
    """Five moved objects whose time has come."""

    source: FakeStore
    destination: FakeStore
    records: Records
    rows: StubRows
    changes: dict[str, Any] = field(default_factory=dict)
    not_before: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    if_match: bool = True

    def run(self) -> tuple[set[str], Tally]:
        """What is left of the source, and the counts."""
        tally, stop = Tally(), threading.Event()
        with Engine(Pace(2, None, stop), 2) as engine:
            context = self._context(engine, tally)
            claim.take(context)
            delete.run(context)
        return {entry.key.removeprefix("image/") for entry in self.source.list_objects("image/")}, tally

    def _context(self, engine: Engine, tally: Tally) -> Context:
        spec = {
            "source": {"bucket": "legacy-s3", "prefix": "image/"},
            "destination": {"bucket": "production-s3", "prefix": "avatar/"},
            "cleanup": {"policy": "Delete", "grace": "0s"},
        }
        plan = Plan(
            epoch="000001",
            bounds=(),
            capabilities=Capabilities(copy_if_absent=True, put_if_absent=True, delete_if_match=self.if_match),
            dangling=(),
        )
        run = RunSpec(
            kind="S3Migration",
            phase="delete",
            namespace="a",
            name="b",
            run="b-1-delete",
            plan=self.records.write_json("plans/1.json", plan.model_dump(mode="json")),
            not_before=self.not_before,
            spec={},
        )
        model = MigrationSpec.model_validate(spec | self.changes)
        stores: Any = (self.source, self.destination, self.records)
        rows: Any = self.rows
        return Context(run, model, 0, *stores, rows, engine, tally, lambda _: True)


@pytest.fixture
def scene() -> Scene:
    server = FakeServer()
    source, destination = server.store("legacy-s3"), server.store("production-s3")
    records = Records(destination, ".bucketops/x/")
    moved = []
    for key in KEYS:
        etag = source.put(f"image/{key}", key.encode(), {})
        destination.put(f"avatar/{key}", key.encode(), {})
        entry = Entry(etag, 2, copied=True, before=None, committed=True, after=etag, outcome=Outcome.MOVED)
        moved.append((key, entry))
    Writer(records, "000001", 0, 1).chunk().done(moved)
    return Scene(source, destination, records, StubRows())


def test_what_was_moved_goes(scene: Scene) -> None:
    left, tally = scene.run()
    assert left == set()
    assert (tally.counts["deleted"], tally.counts["pending"]) == (5, 0)


def test_a_row_that_comes_while_we_look_keeps_its_object(scene: Scene) -> None:
    scene.rows.while_fenced = lambda: scene.rows.named.add("k2")
    left, tally = scene.run()
    assert left == {"k2"}
    assert (tally.counts["deleted"], tally.counts["pending"]) == (4, 1)
    assert "lastLegacyWrite" in tally.marks


@pytest.mark.parametrize("if_match", [True, False])
def test_a_picture_that_is_written_while_we_look_stays(scene: Scene, *, if_match: bool) -> None:
    scene.if_match = if_match
    scene.rows.while_fenced = lambda: scene.source.put("image/k1", b"newer", {})
    left, tally = scene.run()
    assert left == {"k1"}
    assert tally.counts["pending"] == 1


def test_a_copy_that_vanishes_while_we_look_keeps_its_source(scene: Scene) -> None:
    scene.rows.while_fenced = lambda: scene.destination.remove(["avatar/k3"])
    assert scene.run()[0] == {"k3"}


def test_a_picture_that_is_written_after_the_last_look_stays_where_the_store_can_tell(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_now = scene.source.delete

    def write_first(objects: Iterable[Object], **how: Any) -> dict[str, WorkerError]:
        objects = list(objects)
        if any(entry.key == "image/k1" for entry in objects):
            scene.source.put("image/k1", b"newer", {})
        return delete_now(objects, **how)

    monkeypatch.setattr(scene.source, "delete", write_first)
    left, tally = scene.run()
    assert left == {"k1"}
    assert tally.counts["pending"] == 1


def test_who_has_lost_its_claim_deletes_nothing(scene: Scene) -> None:
    scene.rows.while_fenced = lambda: scene.destination.remove(list(scene.destination.keys(".bucketops/claims/")))
    with pytest.raises(UserError, match="claim"):
        scene.run()
    assert {entry.key for entry in scene.source.list_objects("image/")} == {f"image/{key}" for key in KEYS}


def test_what_is_not_in_the_journal_stays(scene: Scene) -> None:
    scene.source.put("image/unknown", b"nobody moved this", {})
    assert scene.run()[0] == {"unknown"}


def test_what_was_written_within_the_grace_stays(scene: Scene) -> None:
    scene.changes = {"cleanup": {"policy": "Delete", "grace": "1h"}}
    left, tally = scene.run()
    assert left == set(KEYS)
    assert tally.counts["pending"] == 5


def test_a_check_that_took_too_long_is_no_evidence(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "FRESH_SECONDS", -1.0)
    for scene.if_match in (True, False):
        left, tally = scene.run()
        assert left == set(KEYS)
        assert tally.counts["pending"] == 5


def test_a_worker_does_not_take_the_operators_word_for_the_time(scene: Scene) -> None:
    scene.not_before = datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(TransientError, match="the grace lasts until"):
        scene.run()
    scene.not_before = None
    with pytest.raises(UserError):
        scene.run()


def test_a_worker_deletes_nothing_that_the_user_retains(scene: Scene) -> None:
    scene.changes = {"cleanup": {"policy": "Retain"}}
    with pytest.raises(UserError):
        scene.run()


def test_a_copy_that_changes_while_we_look_keeps_its_source(scene: Scene) -> None:
    """Whoever wrote it: the next walk looks what it is."""
    scene.rows.while_fenced = lambda: scene.destination.put("avatar/k3", b"another", {})
    left, tally = scene.run()
    assert left == {"k3"}
    assert tally.counts["pending"] == 1


def shorten(scene: Scene, key: str, *, etag: str | None = None) -> None:
    """The server loses bytes of a copy, and shows its old ETag or another one."""
    kept = scene.destination._objects[f"avatar/{key}"]  # noqa: SLF001 - no server does that when it is asked to
    entry = kept.entry._replace(size=0, etag=etag or kept.entry.etag)
    scene.destination._objects[f"avatar/{key}"] = replace(kept, entry=entry, data=b"")  # noqa: SLF001


def test_a_copy_that_has_lost_its_bytes_keeps_its_source(scene: Scene) -> None:
    """Behind its ETag: a sweep writes it anew. Behind another one: nobody calls an empty object the newer picture."""
    shorten(scene, "k1")
    shorten(scene, "k2", etag="0" * 32)
    left, tally = scene.run()
    assert left == {"k1", "k2"}
    assert (tally.counts["deleted"], tally.counts["pending"]) == (3, 1)
    again = Reader(scene.records).histories("000001", 0, Range())
    notes = {key: history[-1].entry.undeletable for key, history in again if history[-1].entry.undeletable}
    assert notes == {"k2": "moved, but the original stays: what stands in its copy's place is empty"}


def test_a_server_that_refuses_the_etag_that_it_lists_is_not_asked_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(objects: Iterable[Object], **_: Any) -> dict[str, WorkerError]:
        return {entry.key: PreconditionFailedError("412") for entry in objects}

    monkeypatch.setattr(scene.source, "delete", refuse)
    left, tally = scene.run()
    assert left == set(KEYS)
    assert tally.counts["pending"] == 0, "no sweep would change it"


@pytest.mark.parametrize(("changes", "left"), [({}, {"k2"}), ({"onConflict": "KeepDestination"}, set())])
def test_only_the_spec_lets_other_content_stand_for_a_copy(
    scene: Scene, changes: dict[str, str], left: set[str]
) -> None:
    """Whoever may write the records writes that the user has chosen the destination's own content."""
    etag = scene.source.put("image/k2", b"the only one", {})
    scene.destination.put("avatar/k2", b"something else", {})
    forged = Entry(etag, 12, copied=False, before=None, committed=True, after=None, outcome=Outcome.ALREADY)
    Writer(scene.records, "000001", 0, 2).chunk().done([("k2", forged)])
    scene.changes = changes
    assert scene.run()[0] == left


CLAIM = {"owner": "S3Migration x/other", "prefix": "image/"}


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"[]", b"{}", json.dumps(CLAIM | {"prefix": "zzz/"}).encode()])
def test_a_claim_that_somebody_has_changed_still_keeps_others_away(scene: Scene, body: bytes) -> None:
    """Its key is made of all that it says."""
    digest = hashlib.sha256(f"{CLAIM['prefix']} {CLAIM['owner']}".encode()).hexdigest()[:24]
    scene.source.put(f".bucketops/claims/{digest}.json", body, {})
    with pytest.raises(UserError, match=r"being migrated by somebody \(the claim .* cannot be read, or was changed\)"):
        scene.run()
    assert len(list(scene.source.list_objects("image/"))) == len(KEYS)
