"""XML answers of S3 -> fields and rows, whatever stands in a key, and within bounds."""

from __future__ import annotations

from contextlib import suppress
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.s3.documents import FORBIDDEN, MOST_ELEMENTS, UnreadableError, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def written(text: str) -> str:
    """As AWS writes it: what XML forbids, and line ends, as references."""
    return FORBIDDEN.sub(lambda match: f"&#x{ord(match[0]):x};", escape(text, {"\r": "&#13;"}))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=4), TEXT)
def test_any_text_comes_back(rows: list[tuple[str, str]], field: str) -> None:
    """Private characters of Unicode too, which stand for the forbidden ones for a while."""
    body = "".join(f"<Row><Key>{written(key)}</Key><Code>{written(code)}</Code></Row>" for key, code in rows)
    found = read(f'<?xml version="1.0"?><R xmlns="x"><Field>{written(field)}</Field>{body}</R>'.encode())
    assert found.root == "R"
    assert found.fields == {"Field": field}
    assert [(row["Key"], row["Code"]) for row in found.rows.get("Row", [])] == rows


@pytest.mark.parametrize("key", ["a&#x1;b", "a&#1;b", "a\x01b"])
def test_control_characters_are_read_as_references_and_as_themselves(key: str) -> None:
    found = read(f"<R><Row><Key>{key}\U000f0001</Key></Row></R>".encode())
    assert found.rows["Row"] == [{"Key": "a\x01b\U000f0001"}]


def test_one_element_can_be_read_as_the_whole() -> None:
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    assert read(body, "TagSet").rows == {"Tag": [{"Key": "a", "Value": "b"}]}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_an_error(body: bytes) -> None:
    with suppress(UnreadableError):
        assert read(body).root is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<R>",
        b"<R><Row><Key>a",
        b"<R>&#x1;",
        b"<R><Key>a&b</Key></R>",
        b"<R>" * 50_000,
        b"<R>" + b"<a/>" * (MOST_ELEMENTS + 1) + b"</R>",
        b"<!DOCTYPE R [<!ENTITY a 'aaaaaaaa'>]><R>&a;</R>",
        b"<!DOCTYPE R SYSTEM 'file:///etc/passwd'><R>\x01</R>",
    ],
    ids=range(9),
)
def test_what_is_no_document_of_s3_is_an_error(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body)
