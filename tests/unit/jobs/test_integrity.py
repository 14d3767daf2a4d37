"""An object's bytes are compared with what its server says of them, wherever that says anything."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.s3.integrity import Check, Judgement, Promise, fits, promised
from bucketops_jobs.s3.wire import Response

pieces = st.lists(st.binary(max_size=40), max_size=8)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def in_parts(data: bytes, each: int) -> str:
    digests = [bytes.fromhex(md5(data[start : start + each])) for start in range(0, len(data), each)] or [
        bytes.fromhex(md5(b""))
    ]
    return f"{md5(b''.join(digests))}-{len(digests)}"


def judge(promise: Promise, came: Sequence[bytes]) -> Judgement:
    check = Check(promise)
    for piece in came:
        check.update(piece)
    return check.judgement


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@given(pieces, st.integers(1, 50), st.data())
def test_what_came_is_right_however_it_came_and_wrong_if_a_byte_is(
    came: list[bytes], each: int, data: st.DataObject
) -> None:
    whole = b"".join(came)
    promises = [
        Promise(md5(whole)),
        Promise(in_parts(whole, each), part=each),
        Promise("", checksums={"sha256": sha256(whole)}),
        Promise(md5(b"another"), made_of_md5s=False, checksums={"crc32": crc32(whole)}),
    ]
    assert [judge(promise, came) for promise in promises] == [Judgement.RIGHT] * 4
    if whole:
        at = data.draw(st.integers(0, len(whole) - 1))
        hurt = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert [judge(promise, [hurt]) for promise in promises] == [Judgement.WRONG] * 4
        assert [judge(promise, [whole[:-1]]) for promise in promises] == [Judgement.WRONG] * 4


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    "etag", ["", "8d76", md5(b"x").upper(), f"{md5(b'x')}-2", "0" * 32, f"{'0' * 32}-1", "CJiW9dO4ldUCEAE="]
)
def test_an_etag_that_says_nothing_of_the_bytes_is_not_compared(etag: str) -> None:
    """Of two parts whose size nobody knows, of files that MinIO found there, of other clouds."""
    assert judge(Promise(etag), [b"data"]) is Judgement.UNKNOWN
    assert judge(Promise(etag, size=4), [b"data"]) is Judgement.UNKNOWN
    assert judge(Promise(etag, size=5), [b"data"]) is Judgement.WRONG


@pytest.mark.parametrize(
    ("header", "value", "compared"),
    [
        ("x-amz-server-side-encryption", "AES256", True),
        ("x-amz-server-side-encryption", "aws:kms", False),
        ("x-amz-server-side-encryption", "aws:kms:dsse", False),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256", False),
    ],
)
def test_etags_of_encrypted_objects_are_md5s_where_s3_says_so(header: str, value: str, *, compared: bool) -> None:
    answer = Response(200, [("ETag", f'"{md5(b"data")}"'), (header, value)], b"")
    assert promised(answer).plain is compared


def test_a_checksum_of_parts_is_none_of_the_whole() -> None:
    sent = [("x-amz-checksum-crc32", crc32(b"data")), ("x-amz-checksum-type", "COMPOSITE")]
    assert promised(Response(200, sent, b"")).checksums == {}


@pytest.mark.parametrize(
    ("size", "parts", "first", "fit"),
    [(16, 2, 8, True), (16, 3, 8, False), (17, 3, 8, True), (8, 2, 8, False), (1, 1, 8, True), (8, 0, 8, False)],
)
def test_parts_are_equal_where_the_first_one_leaves_room_for_that(
    size: int, parts: int, first: int, *, fit: bool
) -> None:
    assert fits(size, parts, first) is fit
