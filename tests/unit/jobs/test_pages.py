"""The answer of ListObjectsV2, read by both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.errors import OddAnswerError, ShardError
from bucketops_jobs.s3.pages import parse, quick, thorough
from bucketops_jobs.s3.store import Object, Page
from support.rendering import Style

RECORDED = Path(__file__).parents[2] / "data" / "pages"
KEYS = ['p/<x>&"', "p/a b", "p/a%20b", "p/a+b", "p/a/b", "p/q?x=1&y=2", "p/z", "p/~'()!*", "p/é", "p/日本", "p/🙂.png"]
"""As support.recordings has them."""
any_key = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
xml_key = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd\ufffe\uffff"), min_size=1, max_size=10
)
time = st.integers(0, 2**31).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
etag = st.from_regex(r"[0-9a-f]{32}(-[0-9]{1,4})?", fullmatch=True)
storage_class = st.sampled_from(["STANDARD", "STANDARD_IA", "GLACIER"])
token = st.none() | st.text("abcXYZ019+/=&<", min_size=1)


def pages_of(key: st.SearchStrategy[str]) -> st.SearchStrategy[Page]:
    objects = st.lists(st.builds(Object, key, etag, st.integers(0, 5 * 2**40), time, storage_class), max_size=5)
    return st.builds(Page, objects, token)


def object_named(key: str) -> Object:
    return Object(key, "0" * 32, 7, datetime(2026, 1, 1, tzinfo=UTC))


@given(pages_of(any_key), st.integers(0, 10**6))
def test_any_key_in_any_order_of_fields_comes_back_by_both_ways(page: Page, seed: int) -> None:
    body = Style(seed).render(page)
    assert parse(body) == page
    assert thorough(body) == page
    assert quick(body) in (page, None)


@given(pages_of(xml_key), st.integers(0, 10**6))
def test_keys_are_not_decoded_where_the_server_did_not_encode_them(page: Page, seed: int) -> None:
    body = Style(seed, encoded=False).render(page)
    assert parse(body) == page
    assert thorough(body) == page
    assert quick(body) in (page, None)


@given(st.integers(0, 10**6), st.booleans())
def test_a_regular_page_needs_no_xml_parser(seed: int, encoded: bool) -> None:
    page = Page([object_named(f"image/avatar-{n} +%.png") for n in range(20)], "token")
    assert quick(Style(seed, encoded=encoded, even=True).render(page)) == page


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.xml")), ids=lambda path: path.stem)
def test_pages_of_real_servers_are_read_alike_by_both_ways(path: Path) -> None:
    server, kind = path.stem.split("-")
    body = path.read_bytes()
    page = parse(body)
    expected = {"first": KEYS[:5], "plain": KEYS[:9], "empty": []}.get(kind, KEYS)
    assert [entry.key for entry in page.objects] == expected, server
    assert (page.token is not None) == (kind in ("first", "plain"))
    assert thorough(body) == page
    assert quick(body) in (page, None)
    for entry in page.objects:
        assert entry.size == len(entry.key.encode())
        assert len(entry.etag) == 32
        assert entry.modified.tzinfo is not None
        assert entry.storage_class == "STANDARD"


def test_the_servers_that_encode_keys_are_read_fast() -> None:
    assert quick((RECORDED / "minio-whole.xml").read_bytes()) is not None
    assert quick((RECORDED / "minio-owners.xml").read_bytes()) is not None
    assert quick((RECORDED / "moto-whole.xml").read_bytes()) is not None


BODY = Style(3).render(Page([object_named(f"k{n}") for n in range(5)], "token"))


@pytest.mark.parametrize("end", range(1, len(BODY) - 1, 7))
def test_a_page_that_was_cut_is_asked_for_again(end: int) -> None:
    with pytest.raises(OddAnswerError):
        parse(BODY[:end])


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"<KeyCount>5", b"<KeyCount>6"),
        (b"<NextContinuationToken>token</NextContinuationToken>", b""),
        (b"<IsTruncated>true</IsTruncated>", b""),
        (b"<Key>k3</Key>", b""),
        (b"ListBucketResult", b"html"),
    ],
)
def test_a_page_that_is_not_what_it_says_is_asked_for_again(was: bytes, becomes: bytes) -> None:
    assert was in BODY
    with pytest.raises(OddAnswerError):
        parse(BODY.replace(was, becomes))


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"<Error><Code>SlowDown</Code></Error>", b"\xff\xfe"])
def test_an_answer_that_is_no_listing_is_no_empty_listing(body: bytes) -> None:
    with pytest.raises(OddAnswerError):
        parse(body)


@pytest.mark.parametrize("all_of_them", [True, False])
@pytest.mark.parametrize(
    "told", ["2024-01-01T00:00:00", "9999-12-31T23:59:59.999Z", "9000-01-01T00:00:00Z", "2024-01-01", ""]
)
def test_a_time_that_nobody_can_reckon_with_is_no_time(told: str, all_of_them: bool) -> None:
    """Without a zone it compares with no other; beyond the calendar there is no grace after it."""
    right = "2026-01-01T00:00:00.000Z"
    rows = "".join(
        f"<Contents><Key>{n}</Key><LastModified>{told if all_of_them or n == 1 else right}</LastModified>"
        f"<ETag>&quot;{'0' * 32}&quot;</ETag><Size>7</Size></Contents>"
        for n in range(3)
    )
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
    with pytest.raises(OddAnswerError) as caught:
        parse(body.encode())
    assert repr(told) in str(caught.value)


def test_a_token_after_the_last_page_is_not_followed() -> None:
    assert parse(BODY.replace(b"<IsTruncated>true", b"<IsTruncated>false")).token is None


@pytest.mark.parametrize("key", ["a%FFb", "%ED%A0%80"])
def test_a_key_that_is_not_utf_8_is_refused_by_name(key: str) -> None:
    """Replaced bytes would address another object; surrogates would sort elsewhere than the server has them."""
    with pytest.raises(ShardError, match=key):
        parse(BODY.replace(b"k3", key.encode()))


def test_a_key_that_the_server_cannot_show_is_refused() -> None:
    body = Style(3, encoded=False).render(Page([object_named("a\ufffdb")], None))
    with pytest.raises(ShardError, match="cannot show"):
        parse(body)
    assert parse(Style(3).render(Page([object_named("a\ufffdb")], None))).objects[0].key == "a\ufffdb"
