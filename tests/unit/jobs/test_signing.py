"""Signatures are those that botocore makes, whatever is signed."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import ItemError
from bucketops_jobs.s3 import signing, wire
from bucketops_jobs.s3.signing import Credentials, sign
from bucketops_jobs.s3.store import ANYTHING, Copy, Object

HOST = "127.0.0.1:9000"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALLS = wire.Calls(BucketRef.model_validate({"bucket": "bucket"}), wire.Place(tls=False, host=HOST, base="/bucket/"))
KEYS = st.text(min_size=1, max_size=20).filter(lambda key: key.encode(errors="replace").decode() == key)
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
NAMES = st.sampled_from(["x-amz-meta-a", "x-amz-meta-a-b", "Content-Type", "cache-control"])
SOURCES = st.builds(Object, KEYS, st.just("0" * 32), st.just(3), st.just(NOW))
REQUESTS = st.one_of(
    st.builds(CALLS.head, KEYS),
    st.builds(CALLS.put, KEYS, st.binary(max_size=10), st.dictionaries(NAMES, PLAIN), st.just(ANYTHING)),
    st.builds(lambda key, entry: CALLS.copy(Copy("other", entry, key)), KEYS, SOURCES),
    st.builds(lambda prefix, after: CALLS.page(prefix, after=after, token=None, limit=10), KEYS, KEYS),
    st.builds(CALLS.delete_many, st.lists(st.tuples(KEYS, st.sampled_from(["", "v1"])), min_size=1, max_size=3)),
)
CALLERS = st.builds(Credentials, st.just("AKIA1"), st.text(min_size=1, max_size=10), st.sampled_from(["", "token"]))


def theirs(request: wire.Request, who: Credentials, region: str) -> str:
    """The proof in the same request as botocore signs it."""
    asked = AWSRequest(request.method, f"http://{HOST}{request.path}", dict(request.headers), request.body)
    key = BotocoreCredentials(who.access_key, who.secret_key, who.token or None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        S3SigV4Auth(key, "s3", region).add_auth(asked)
    return str(asked.headers["Authorization"])


@given(REQUESTS, CALLERS, st.sampled_from(["us-east-1", "eu-west-1"]))
def test_a_signature_is_the_one_that_botocore_makes(request_: wire.Request, who: Credentials, region: str) -> None:
    headers = dict(sign(request_, HOST, who, region, NOW.timestamp()))
    assert headers["authorization"] == theirs(request_, who, region)


def test_all_that_is_asked_is_sent_and_signed() -> None:
    request = CALLS.put("key", b"body", {"Content-Type": "image/png"}, ANYTHING)
    headers = dict(sign(request, HOST, Credentials("AKIA1", "s", "token"), "us-east-1", NOW.timestamp()))
    assert headers.items() >= {("content-type", "image/png"), ("x-amz-security-token", "token"), ("host", HOST)}
    assert "SignedHeaders=content-md5;content-type;host;" in headers["authorization"]


@pytest.mark.parametrize("value", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "a\0b"])
def test_a_header_cannot_smuggle_in_another(value: str) -> None:
    request = CALLS.put("key", b"", {"x-amz-meta-a": value}, ANYTHING)
    with pytest.raises(ItemError, match="control character"):
        wire.serialized(request, sign(request, HOST, Credentials("a", "s"), "us-east-1", 0))


@pytest.mark.parametrize(
    ("value", "spaces", "blanks", "trimmed"),
    [
        ("  a  b ", "a b", "a b", "a b"),
        ("a\u00a0b", "a\u00a0b", "a b", "a\u00a0b"),
        ("\u3000a\u3000\u3000b", "\u3000a\u3000\u3000b", "a b", "a\u3000\u3000b"),
        ("a\tb", "a\tb", "a b", "a\tb"),
        ("", "", "", ""),
    ],
)
def test_servers_fold_blanks_each_in_its_way(value: str, spaces: str, blanks: str, trimmed: str) -> None:
    assert [fold(value) for fold in signing.FOLDS] == [spaces, blanks, trimmed]
    assert signing.ambiguous([("x-amz-meta-a", value)]) is (len({spaces, blanks, trimmed}) > 1)


@given(st.text(), st.integers(0, 2))
def test_what_is_signed_is_what_is_left_when_it_is_signed_again(value: str, number: int) -> None:
    fold = signing.FOLDS[number]
    assert fold(fold(value)) == fold(value)
