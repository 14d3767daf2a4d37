"""The decision table of the migration, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bucketops_jobs.migration.merge import (
    Decision,
    Entry,
    Item,
    Outcome,
    Policy,
    Row,
    RowOutcome,
    decide,
    deletable,
    gave_up,
    settled_rows,
)
from bucketops_jobs.s3.store import ABSENT, Expect, Object

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
LEGACY = Row(0, "1", "image/k", legacy=True)
MODERN = Row(0, "2", "avatar/k", legacy=False)
INTENT = Entry("s1", 1, copied=True, before=None)
DONE = replace(INTENT, committed=True, after="s1", outcome=Outcome.MOVED)
TAKEN_OVER = Entry("s1", 1, copied=False, before="s1", committed=True, after="s1", outcome=Outcome.ALREADY)
KEPT = Entry("s1", 1, copied=False, before="x", committed=True, after=None, outcome=Outcome.ALREADY)
HEALED = Entry("", 0, copied=False, before="x", committed=True, after="x", rows=(("0:1", RowOutcome.HEALED),))

MOVE = Decision(Outcome.MOVED, copy=ABSENT, rewrite=RowOutcome.REWRITTEN, journal=True)
FINISH = Decision(Outcome.MOVED, rewrite=RowOutcome.REWRITTEN, journal=True)
REST = Decision(Outcome.MOVED)


def thing(etag: str | None) -> Object | None:
    return Object("k", etag, 1, WHEN) if etag else None


def item(source: str | None = None, destination: str | None = None, entry: Entry | None = None, *rows: Row) -> Item:
    return Item("k", thing(source), thing(destination), entry, rows)


def judged(what: Item, **policy: Any) -> Decision:
    """The decision without the sentence for people."""
    return replace(decide(what, Policy(**policy), lambda a, b: a.etag == b.etag), message="")


def again(etag: str) -> Decision:
    return replace(MOVE, copy=Expect(etag=etag))


@pytest.mark.parametrize(
    ("what", "decision"),
    [
        pytest.param(item("s1", None, None, LEGACY), MOVE, id="a legacy object is copied and its row rewritten"),
        pytest.param(item("s1"), MOVE, id="an object that no row names is copied too"),
        pytest.param(
            item("s1", "s1", None, LEGACY),
            Decision(Outcome.ALREADY, rewrite=RowOutcome.REWRITTEN, journal=True, compared=True),
            id="equal content at the destination is not copied again, its row is rewritten",
        ),
        pytest.param(
            item("s1", "x", None, LEGACY),
            Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED),
            id="other content that is not ours is a conflict, and its row stays as it is",
        ),
        pytest.param(item("s1", "x"), Decision(Outcome.CONFLICT), id="a conflict without a row fails no row"),
        pytest.param(item("s1", "s1", INTENT, LEGACY), FINISH, id="a crash after the copy is finished"),
        pytest.param(item("s1", "s1", DONE, LEGACY), FINISH, id="a crash after the commit, or a new row, is finished"),
        pytest.param(item("s1", "s1", DONE, MODERN), REST, id="what is finished is left alone"),
        pytest.param(item("s1", None, INTENT, LEGACY), MOVE, id="a crash before the copy begins again"),
        pytest.param(
            item("s2", "s1", DONE, MODERN), again("s1"), id="a newer legacy picture is copied over ours, if still ours"
        ),
        pytest.param(
            item("s2", "s1", INTENT, LEGACY), again("s1"), id="the same where the first copy was not recorded"
        ),
        pytest.param(item("s1", "x", DONE, MODERN), REST, id="the application's newer picture is never overwritten"),
        pytest.param(
            item("s1", "x", replace(INTENT, rows=(("0:2", RowOutcome.REWRITTEN),)), MODERN),
            replace(FINISH, keeps=True),
            id="the same where our copy was not recorded: its row names the new place, so it was there",
        ),
        pytest.param(
            item("s1", "x", replace(INTENT, rows=(("0:1", RowOutcome.REWRITTEN),)), LEGACY),
            Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED),
            id="where no row was rewritten it may have been there before our copy",
        ),
        pytest.param(
            item("s1", "x", DONE, LEGACY), FINISH, id="a row that still names the legacy place is rewritten to it"
        ),
        pytest.param(
            item("s2", "x", DONE, LEGACY),
            Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED),
            id="both written again since is a conflict",
        ),
        pytest.param(
            item("s1", None, DONE),
            Decision(Outcome.CHANGED_BY_APP),
            id="what the application deleted after the move is not brought back",
        ),
        pytest.param(item("s1", None, DONE, LEGACY), MOVE, id="unless a row still names it"),
        pytest.param(
            item(None, "x", None, LEGACY),
            Decision(None, rewrite=RowOutcome.HEALED, journal=True, compared=True),
            id="a row whose legacy object is gone is healed by the production object",
        ),
        pytest.param(
            item(None, "s1", DONE, LEGACY),
            Decision(Outcome.MOVED, rewrite=RowOutcome.HEALED, journal=True),
            id="a legacy row that comes after the delete is healed",
        ),
        pytest.param(
            item(None, None, None, LEGACY),
            Decision(None, row_outcome=RowOutcome.MISSING_SOURCE),
            id="a row without any object stays as it is",
        ),
        pytest.param(
            item(None, None, DONE, LEGACY),
            Decision(Outcome.CHANGED_BY_APP, row_outcome=RowOutcome.MISSING_SOURCE),
            id="the same after the application deleted both objects",
        ),
        pytest.param(item(None, "s1", DONE, MODERN), REST, id="what was moved and deleted stays counted"),
        pytest.param(item(None, "x", None, MODERN), Decision(None), id="a native object is none of our business"),
        pytest.param(item(None, None, DONE), Decision(Outcome.CHANGED_BY_APP), id="deleted on both sides by the app"),
        pytest.param(
            item(None, "x", INTENT, LEGACY),
            Decision(Outcome.CHANGED_BY_APP, rewrite=RowOutcome.HEALED, journal=True, compared=True),
            id="an intent does not make the application's own object ours",
        ),
        pytest.param(
            item(None, "x", HEALED, MODERN), Decision(None), id="a healed row makes no object of the migration"
        ),
        pytest.param(
            item("s1", "x", HEALED, LEGACY),
            Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED),
            id="a healed row does not make the production object ours",
        ),
        pytest.param(
            item("s1", "s1", TAKEN_OVER, LEGACY),
            replace(FINISH, outcome=Outcome.ALREADY),
            id="equal content that was taken over stays 'already'",
        ),
        pytest.param(
            item("s1", "x", replace(INTENT, copied=False, before="x"), LEGACY),
            Decision(Outcome.CONFLICT, row_outcome=RowOutcome.FAILED),
            id="an intent to copy nothing says nothing of the destination",
        ),
    ],
)
def test_the_decision_table(what: Item, decision: Decision) -> None:
    assert judged(what) == decision


@pytest.mark.parametrize(
    ("policy", "what", "decision"),
    [
        pytest.param(
            {"on_conflict": "Overwrite"},
            item("s1", "x", None, LEGACY),
            again("x"),
            id="Overwrite replaces the content that was looked at, and no other",
        ),
        pytest.param(
            {"on_conflict": "Overwrite"},
            item("s1", "x", replace(INTENT, before="x"), LEGACY),
            again("x"),
            id="Overwrite: an intent whose copy was never made begins again",
        ),
        pytest.param(
            {"on_conflict": "KeepDestination"},
            item("s1", "x", None, LEGACY),
            Decision(Outcome.ALREADY, rewrite=RowOutcome.REWRITTEN, journal=True, compared=True, keeps=True),
            id="KeepDestination rewrites the row to what is there",
        ),
        pytest.param(
            {"on_conflict": "KeepDestination"},
            item("s1", "x", KEPT, LEGACY),
            replace(FINISH, outcome=Outcome.ALREADY),
            id="KeepDestination: what was kept stays kept",
        ),
        pytest.param(
            {"on_conflict": "Fail"},
            item("s2", "x", KEPT, MODERN),
            Decision(Outcome.CONFLICT),
            id="a kept object is not ours when the legacy one changes",
        ),
        pytest.param({"orphans": "Ignore"}, item("s1"), Decision(Outcome.IGNORED), id="Ignore leaves orphans"),
        pytest.param({"orphans": "Ignore"}, item("s1", "x"), Decision(Outcome.IGNORED), id="in conflict or not"),
        pytest.param({"orphans": "Ignore"}, item("s1", None, None, LEGACY), MOVE, id="Ignore moves what a row names"),
        pytest.param(
            {"orphans": "Ignore"}, item("s1", "s1", DONE), REST, id="Ignore: what was moved before its row went"
        ),
    ],
)
def test_what_the_user_told_us(policy: dict[str, Any], what: Item, decision: Decision) -> None:
    assert judged(what, **policy) == decision


@pytest.mark.parametrize(
    "what", [item("s1", "x", None, LEGACY), item(None, None, None, LEGACY), item("s1", None, DONE)]
)
def test_what_does_not_end_well_says_why(what: Item) -> None:
    assert decide(what, Policy(), lambda a, b: a.etag == b.etag).message


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        pytest.param(item("s1", "s1", DONE), None, id="moved and named by nobody: it may go"),
        pytest.param(item("s1", "x", DONE, MODERN), None, id="replaced by the application since: it may go"),
        pytest.param(item("s1", "s1", TAKEN_OVER, MODERN), None, id="equal to what was there: it may go"),
        pytest.param(item("s1", "x", KEPT, MODERN), None, id="the user keeps the other content: it may go"),
        pytest.param(item("s1", "s1"), "the journal does not say what it became", id="not ours"),
        pytest.param(item(None, "s1", DONE), "the journal does not say what it became", id="gone already"),
        pytest.param(item("s1", "s1", INTENT), "the journal does not say what it became", id="intent only"),
        pytest.param(item("s1", "x", HEALED), "the journal does not say what it became", id="a heal is no copy"),
        pytest.param(item("s2", "s1", DONE), "it was written again after it was copied", id="newer picture"),
        pytest.param(item("s1", None, DONE), "its copy is not there", id="no copy"),
        pytest.param(item("s1", "s1", DONE, LEGACY), "a row still names it", id="a row names it"),
    ],
)
def test_a_source_object_goes_only_on_positive_evidence(what: Item, reason: str | None) -> None:
    assert deletable(what) == reason


REWRITTEN = (("0:1", RowOutcome.REWRITTEN),)


@pytest.mark.parametrize(
    ("entry", "rows", "settled"),
    [
        pytest.param(None, (MODERN,), {}, id="without a journal no row is ours"),
        pytest.param(replace(DONE, rows=REWRITTEN), (), dict(REWRITTEN), id="a recorded row counts though it is gone"),
        pytest.param(replace(DONE, rows=REWRITTEN), (LEGACY,), {}, id="a row that is legacy again is not settled"),
        pytest.param(
            replace(INTENT, rows=REWRITTEN),
            (Row(0, "1", "avatar/k", legacy=False),),
            dict(REWRITTEN),
            id="an open intent is judged by the row: it names the new place",
        ),
        pytest.param(
            replace(INTENT, rows=REWRITTEN),
            (),
            {"0:1": RowOutcome.CHANGED_BY_APP},
            id="an open intent is judged by the row: it names neither place",
        ),
        pytest.param(
            replace(DONE, rows=(("0:1", RowOutcome.FAILED),)),
            (),
            {"0:1": RowOutcome.CHANGED_BY_APP},
            id="a row that was refused and names the legacy place no more was changed by somebody else",
        ),
    ],
)
def test_settled_rows(entry: Entry | None, rows: tuple[Row, ...], settled: dict[str, RowOutcome]) -> None:
    assert settled_rows(item("s1", "s1", entry, *rows)) == settled


REFUSED = (("0:1", RowOutcome.FAILED),)
TRIED = replace(INTENT, outcome=Outcome.FAILED, message="the store says no")


@pytest.mark.parametrize(
    ("what", "given_up"),
    [
        pytest.param(item("s1", None, None, LEGACY), False, id="nothing was tried"),
        pytest.param(item("s1", None, TRIED, LEGACY), True, id="the copy of this very content was refused"),
        pytest.param(item("s2", None, TRIED, LEGACY), False, id="other content has not been tried"),
        pytest.param(item("s1", "s1", TRIED, LEGACY), False, id="the copy is there: the rest is to be done"),
        pytest.param(item("s1", "s1", replace(DONE, rows=REFUSED), LEGACY), True, id="its row was refused"),
        pytest.param(item("s1", "s1", DONE, LEGACY), False, id="a new row has not been tried"),
        pytest.param(
            item("s2", "s1", replace(DONE, rows=REFUSED), LEGACY), False, id="a newer picture has not been tried"
        ),
    ],
)
def test_what_was_refused_is_final_until_something_changes(what: Item, given_up: bool) -> None:
    assert gave_up(what, judged(what)) == given_up


def test_a_copy_that_was_refused_and_is_there_after_all_counts_as_moved() -> None:
    assert judged(item("s1", "s1", TRIED, LEGACY)) == FINISH
