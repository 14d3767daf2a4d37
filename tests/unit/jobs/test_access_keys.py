"""Access keys: which one retires, which one goes, and what never shows a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.privileges.access import Place
from bucketops_jobs.access.keys import Key, Pair, description, retirement, upkeep
from bucketops_jobs.access.probe import UNPROVEN, as_expected

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=24)
TIMES = st.none() | st.sampled_from([NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)])
KEYS = st.lists(
    st.builds(Key, st.sampled_from("ABCDEF"), ours=st.booleans(), retires=TIMES), unique_by=lambda key: key.id
)


@given(KEYS, st.sampled_from("ABCDEF"))
def test_the_key_in_use_and_keys_of_others_are_never_touched(keys: list[Key], current: str) -> None:
    due = upkeep(keys, current, LATER, NOW)
    touched = {key.id for key in (*due.retire, *due.remove)}
    assert current not in touched
    assert not touched & {key.id for key in keys if not key.ours}


@given(KEYS, st.sampled_from("ABCDEF"))
def test_a_key_goes_only_after_the_time_that_was_written_at_it(keys: list[Key], current: str) -> None:
    due = upkeep(keys, current, LATER, NOW)
    assert all(key.retires is not None and key.retires <= NOW for key in due.remove)
    assert all(key.retires == LATER for key in due.retire)
    ours = {key.id for key in keys if key.ours and key.id != current}
    assert {key.id for key in (*due.retire, *due.remove, *due.retiring)} == ours


def test_a_description_says_when_a_key_retires_and_fits() -> None:
    assert retirement(description("S3Access team/app", LATER)) == LATER
    assert retirement(description("S3Access team/app")) is None
    assert len(description("x" * 500, LATER)) <= 256


def test_a_secret_is_in_no_representation() -> None:
    assert "very-secret" not in f"{Pair('AK', 'very-secret')!r} {Pair('AK', 'very-secret')}"


def test_only_a_refusal_is_a_refusal() -> None:
    place = Place("bucket-a", "", frozenset({"list", "get"}))
    well = {"list": 200, "get": 404, "put": 403, "delete": 403, "multipart": 403}
    assert as_expected(place, well)  # type: ignore[arg-type]
    assert as_expected(place, well | {"get": UNPROVEN})  # type: ignore[arg-type]
    assert not as_expected(place, well | {"get": 403})  # type: ignore[arg-type]
    assert not as_expected(place, well | {"put": 412})  # type: ignore[arg-type]
