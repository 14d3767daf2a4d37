"""What the second look allows: rows are rewritten only to an object that is there, of a source unchanged."""

from __future__ import annotations

from datetime import UTC, datetime

from bucketops_jobs.errors import ItemError, NotFoundError, PreconditionFailedError, StoppedError
from bucketops_jobs.migration import evidence
from bucketops_jobs.migration.chunk import Work, outcome, settle
from bucketops_jobs.migration.content import Copied
from bucketops_jobs.migration.evidence import DifferentError, Proof, UnknownError
from bucketops_jobs.migration.merge import Item, Outcome, Policy, Row, decide, deletable, gave_up
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


def test_no_row_is_rewritten_to_a_proven_copy_that_vanished() -> None:
    settled = settle(work(), proven(), SOURCE, None)
    assert (settled.commit, settled.rewrite) == (False, False)


def test_a_server_that_refuses_what_it_lists_itself_fails_that_object() -> None:
    """RGW refuses the right If-Match: at first that looks like a race, a second time nothing has changed again."""
    for error in (PreconditionFailedError("412"), NotFoundError("404")):
        first = settle(work(), error, SOURCE, None)
        assert (first.commit, first.rewrite, first.again) == (False, False, True)
        assert "listed unchanged" in first.failure
        item = Item("a", source=SOURCE, entry=outcome(first, {}), rows=(ROW,))
        decision = decide(item, Policy(), lambda *_: False)
        second = settle(Work(item, decision, 0), error, SOURCE, None)
        assert (second.again, bool(second.failure)) == (False, True)
        assert gave_up(item, decision), "no sweep waits for it"


def test_what_nobody_knows_is_never_overwritten_called_moved_or_deleted_for() -> None:
    """Its listing shows neither what was written nor the original's content."""
    foreign = COPY._replace(etag="2" * 32)
    first = settle(work(), UnknownError("who wrote this?"), SOURCE, foreign)
    assert (first.commit, first.rewrite, first.again) == (False, False, True)
    item = Item("a", source=SOURCE, destination=foreign, entry=outcome(first, {}), rows=(ROW,))
    for policy in (Policy(), Policy(on_conflict="Overwrite"), Policy(on_conflict="KeepDestination")):
        decision = decide(item, policy, lambda *_: False)
        assert (decision.outcome, decision.works) == (Outcome.FAILED, False)
        assert deletable(item) is not None


def test_what_a_late_listing_shows_in_the_end_is_moved() -> None:
    first = settle(work(), UnknownError("not listed"), SOURCE, None)
    item = Item("a", source=SOURCE, destination=COPY, entry=outcome(first, {}), rows=(ROW,))
    decision = decide(item, Policy(), lambda one, other: one.etag == other.etag)
    assert (decision.outcome, decision.copy, decision.journal) == (Outcome.MOVED, None, True)


def test_a_crash_before_the_look_leaves_nothing_that_is_called_the_users() -> None:
    """An intent without an outcome: what stands there may be a damaged copy of ours, so KeepDestination keeps both."""
    foreign = COPY._replace(etag="2" * 32, size=1)
    item = Item("a", source=SOURCE, destination=foreign, entry=work().intent, rows=(ROW,))
    assert decide(item, Policy(on_conflict="KeepDestination"), lambda *_: False).outcome is Outcome.CONFLICT
