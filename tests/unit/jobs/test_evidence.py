"""A copy counts only by what is listed, and an original goes only as a Verified."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bucketops_jobs.migration import evidence
from bucketops_jobs.migration.content import Copied
from bucketops_jobs.migration.evidence import Basis, DifferentError, Proof, UnknownError, Verified
from bucketops_jobs.migration.merge import Entry, Outcome
from bucketops_jobs.s3.store import Object

MD5, OTHER = "1" * 32, "2" * 32
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = Object("image/a", MD5, 3, WHEN)
COPY = SOURCE._replace(key="avatar/a")
KEPT = Entry(MD5, 3, copied=True, before=None, committed=True, after=MD5, outcome=Outcome.MOVED)


def always(*_: Object) -> bool:
    return True


def never(*_: Object) -> bool:
    return False


def test_nobody_else_makes_a_proof_or_a_verified() -> None:
    with pytest.raises(TypeError, match="only"):
        Proof(SOURCE, COPY, Basis.ETAG, object())
    proof = evidence.by_listing(SOURCE, Copied(MD5), COPY)
    assert isinstance(proof, Proof)
    with pytest.raises(TypeError, match="only"):
        Verified(proof, None)


@pytest.mark.parametrize(
    ("answered", "listed", "error"),
    [
        pytest.param(MD5, COPY._replace(size=0), DifferentError, id="the right ETag and no byte"),
        pytest.param(OTHER, COPY._replace(etag=OTHER, size=2), DifferentError, id="cut off, and the server knows"),
        pytest.param(MD5, COPY._replace(etag=OTHER, size=2), UnknownError, id="the right answer, another object"),
        pytest.param(MD5, COPY._replace(etag=OTHER), UnknownError, id="as long, with other bytes"),
        pytest.param("", COPY._replace(etag=OTHER), UnknownError, id="no answer, other bytes"),
        pytest.param("", COPY._replace(etag=""), UnknownError, id="neither shows an ETag"),
    ],
)
def test_what_is_listed_counts_and_not_what_was_answered(answered: str, listed: Object, error: type[Exception]) -> None:
    assert isinstance(evidence.after_copy(SOURCE, Copied(answered), listed, never), error)


def test_two_empty_etags_are_never_equal() -> None:
    bare = SOURCE._replace(etag="")
    assert evidence.by_listing(bare, Copied(""), COPY._replace(etag="")) is None, "the contents are compared"
    assert evidence.doubt(KEPT, bare, COPY._replace(etag="")) is not None


def test_an_answer_without_an_etag_is_no_loss_where_the_listing_has_one() -> None:
    found = evidence.after_copy(SOURCE, Copied(""), COPY, never)
    assert isinstance(found, Proof)
    assert (found.basis, found.copy.etag) == (Basis.ETAG, MD5)


def test_what_was_sent_in_parts_is_known_by_the_etag_of_these_parts() -> None:
    parts = COPY._replace(etag=f"{OTHER}-2")
    known = evidence.by_listing(SOURCE, Copied(parts.etag, proof=parts.etag), parts)
    assert isinstance(known, Proof)
    assert evidence.by_listing(SOURCE, Copied(parts.etag), parts) is None
    assert evidence.by_listing(SOURCE, Copied("", proof=""), COPY._replace(etag="")) is None


@pytest.mark.parametrize(
    ("entry", "source", "copy", "basis"),
    [
        pytest.param(KEPT, SOURCE, COPY, Basis.ETAG, id="equal ETags"),
        pytest.param(KEPT, SOURCE, COPY._replace(size=0), None, id="another size behind the same ETag"),
        pytest.param(replace(KEPT, verified=True), SOURCE, COPY._replace(size=0), None, id="though it was compared"),
        pytest.param(KEPT, SOURCE, COPY._replace(etag=OTHER, size=9), Basis.REPLACED, id="the application's newer one"),
        pytest.param(KEPT, SOURCE, COPY._replace(etag=OTHER, size=0), None, id="emptied"),
        pytest.param(
            KEPT, SOURCE, COPY._replace(etag=OTHER, modified=WHEN - timedelta(hours=1)), None, id="an older one"
        ),
        pytest.param(KEPT, SOURCE, COPY._replace(etag=""), None, id="no ETag"),
    ],
)
def test_before_a_deletion_both_are_looked_at_again(
    entry: Entry, source: Object, copy: Object, basis: Basis | None
) -> None:
    found = evidence.recorded(entry, source, copy)
    assert (found.basis if found else None) == basis


def test_what_no_etag_shows_and_no_journal_recorded_is_compared_again() -> None:
    entry = Entry(MD5, 3, copied=True, before=None, committed=True, after="opaque", outcome=Outcome.MOVED)
    copy = COPY._replace(etag="opaque")
    assert evidence.recorded(entry, SOURCE, copy) is None
    assert evidence.anew(SOURCE, copy, never) is None
    assert evidence.anew(SOURCE, copy, always) is not None
    verified = Entry(
        MD5, 3, copied=True, before=None, committed=True, after="opaque", outcome=Outcome.MOVED, verified=True
    )
    found = evidence.recorded(verified, SOURCE, copy)
    assert found is not None
    assert found.basis is Basis.COMPARED


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        (SOURCE._replace(etag=OTHER), COPY),
        (SOURCE, COPY._replace(etag=OTHER)),
        (SOURCE, COPY._replace(size=0)),
        (None, COPY),
        (SOURCE, None),
    ],
)
def test_a_proof_is_nothing_without_the_last_look(source: Object | None, copy: Object | None) -> None:
    proof = evidence.recorded(KEPT, SOURCE, COPY)
    assert proof is not None
    assert evidence.confirmed(proof, source, copy) is None
    found = evidence.confirmed(proof, SOURCE, COPY)
    assert found is not None
    assert found.original == SOURCE
