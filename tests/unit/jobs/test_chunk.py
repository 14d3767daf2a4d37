"""What the second look allows: rows are rewritten only to an object that is there, of a source unchanged."""

from __future__ import annotations

from datetime import UTC, datetime

from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError, StoppedError
from bucketops_jobs.migration import evidence
from bucketops_jobs.migration.chunk import Work, outcome, settle
from bucketops_jobs.migration.content import Copied
from bucketops_jobs.migration.evidence import DifferentError, Proof, UnknownError
from bucketops_jobs.migration.merge import Item, Policy, Row, decide
from bucketops_jobs.s3.store import Expect, Object

ETAG = "1" * 32
SOURCE = Object("image/a", ETAG, 3, datetime(2026, 1, 1, tzinfo=UTC))
COPY = SOURCE._replace(key="avatar/a")
ROW = Row(0, "1", "image/a", legacy=True)


def work(destination: Object | None = None) -> Work:
    item = Item("a", source=SOURCE, destination=destination, rows=(ROW,))
    return Work(item, decide(item, Policy(), lambda one, other: one.etag == other.etag), 0)


def proven(copy: Object = COPY) -> Proof:
    found = evidence.by_listing(SOURCE, Copied(copy.etag), copy)
    assert isinstance(found, Proof)
    return found


def test_a_copy_that_is_there_is_committed_and_its_rows_are_rewritten() -> None:
    settled = settle(work(), proven(), SOURCE, COPY)
    assert (settled.commit, settled.rewrite, settled.after) == (True, True, ETAG)


def test_no_row_is_rewritten_to_an_object_that_is_not_there() -> None:
    settled = settle(work(), UnknownError("not listed"), SOURCE, None)
    assert (settled.commit, settled.rewrite) == (False, False)


def test_a_source_that_changed_meanwhile_is_journalled_and_its_rows_wait() -> None:
    """So that the next walk copies the newer picture over our own copy."""
    settled = settle(work(), proven(), SOURCE._replace(etag="two"), COPY)
    assert (settled.commit, settled.rewrite, settled.after) == (True, False, ETAG)


def test_a_source_that_vanished_meanwhile_is_left_to_the_next_walk() -> None:
    assert not settle(work(), proven(), None, COPY).rewrite


def test_an_equal_object_that_changed_meanwhile_is_judged_anew() -> None:
    settled = settle(work(COPY), None, SOURCE, COPY._replace(etag="two"))
    assert (settled.commit, settled.rewrite) == (False, False)


def test_a_race_is_judged_anew_and_is_no_failure() -> None:
    for error in (PreconditionFailedError("412"), NotFoundError("404"), StoppedError("SIGTERM")):
        settled = settle(work(), error, SOURCE, COPY)
        assert (settled.commit, settled.rewrite, settled.failure) == (False, False, "")


def test_a_copy_that_differs_is_remembered_so_that_the_next_walk_writes_it_anew() -> None:
    settled = settle(work(), DifferentError("other bytes", "bad"), SOURCE, COPY._replace(etag="bad"))
    assert (settled.commit, settled.rewrite, settled.after) == (False, False, "bad")
    entry = outcome(settled, {})
    item = Item("a", source=SOURCE, destination=COPY._replace(etag="bad"), entry=entry, rows=(ROW,))
    assert decide(item, Policy(), lambda *_: False).copy == Expect(etag="bad")
    foreign = Item("a", source=SOURCE, destination=COPY._replace(etag="theirs"), entry=entry, rows=(ROW,))
    assert decide(foreign, Policy(), lambda *_: False).copy is None


def test_a_refused_copy_fails_with_the_stores_words() -> None:
    settled = settle(work(), ItemError("the key is too long"), SOURCE, None)
    assert (settled.commit, settled.rewrite, settled.failure) == (False, False, "the key is too long")
