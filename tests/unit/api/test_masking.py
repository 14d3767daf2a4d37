"""A value of a Secret is in no word, in whatever form; and other words stay as they are."""

from __future__ import annotations

import base64
import html
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bucketops_api import logs
from bucketops_api.contract import RunResult
from bucketops_api.masking import MASK, Mask
from bucketops_api.v1alpha1.common import Sample

VALUE = "S3cr3t/canary+ä&<'\"=% \\x"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=8, max_size=40)


def mask(**data: str) -> Mask:
    found = Mask()
    found.learn(data)
    return found


@given(TEXT.filter(lambda text: text == text.strip() and text.lower() not in "***password***"), TEXT)
def test_no_form_of_a_secret_is_left(value: str, beside: str) -> None:
    assume(value not in beside and "PASSWORD" not in value)
    pair = f"{beside}:{value}".encode()
    forms = (
        value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value), repr(value),
        json.dumps(value, ensure_ascii=False), html.escape(value), value.encode().hex(),
    )  # fmt: skip
    hidden = mask(PASSWORD=value)
    for form in forms:
        assert form.strip("'\"") not in hidden.text(f"before {form} after")
    for coded in (
        base64.b64encode(pair),
        base64.urlsafe_b64encode(value.encode()),
        base64.b64encode(value.encode() + b"@h"),
    ):
        left = hidden.text(coded.decode())
        assert "***PASSWORD***" in left or len(value.encode()) < 9


@pytest.mark.parametrize(
    ("value", "text", "left"),
    [
        ("abc", "abc abcd", "abc abcd"),
        ("test", "the latest test", "the latest ***PASSWORD***"),
        ("longer-secret", "xlonger-secrety", "x***PASSWORD***y"),
    ],
)
def test_short_values_do_not_garble_other_words(value: str, text: str, left: str) -> None:
    assert mask(PASSWORD=value).text(text) == left


def test_what_names_somebody_is_hidden_where_nobody_has_published_it() -> None:
    hidden = Mask()
    hidden.publish(['{"bucket": "avatars-production"}'])
    hidden.learn(
        {
            "PGUSER": "avatars-production",
            "PGDATABASE": "nobody",
            "PGHOST": "db-7.internal",
            "PGPORT": "5432",
            "RAILS_ENV": "production",
        }
    )
    text = "avatars-production on db-7.internal:5432 in production, nobody"
    assert hidden.text(text) == "avatars-production on ***PGHOST***:5432 in production, nobody"
    hidden.publish(["db-7.internal"])
    assert hidden.text(text) == text


@pytest.mark.parametrize(
    ("key", "value", "leaks"),
    [
        ("DATABASE_URL", "postgresql://app:pa%40ss-word@db/shop", ["pa%40ss-word", "pa@ss-word"]),
        ("DATABASE_URL", "postgresql://app:half/of@it@db/shop", ["half/of@it"]),
        ("uri", "host=db password='two words' user=app", ["two words"]),
        (
            "tls.key",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----",
            ["kqhkiG9w0BAQEF"],
        ),
        ("anything", "a-value-that-is-no-word", ["a-value-that-is-no-word"]),
    ],
)
def test_parts_of_a_value_are_secret_too(key: str, value: str, leaks: list[str]) -> None:
    hidden = mask(**{key: value})
    for leak in leaks:
        assert leak not in hidden.text(f"failed: {leak}!")


def test_certificates_are_public() -> None:
    text = "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBg\n-----END CERTIFICATE-----"
    assert mask(**{"ca-key.crt": text}).text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("authorization: AWS4-HMAC-SHA256 Credential=AKIAX/r/s3, SignedHeaders=host, Signature=0af1", "AKIAX 0af1"),
        ("('authorization', 'AWS4-HMAC-SHA256 Credential=AKIAX/r, SignedHeaders=h, Signature=0af1')", "AKIAX 0af1"),
        ("{'Authorization': b'Bearer abcdef123'}", "abcdef123"),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("authorization: bearer onlysmallletters", "onlysmallletters"),
        ("Authorization=Own-Scheme abcdef123", "abcdef123"),
        ("Authorization: abcdef123", "abcdef123"),
        ("{'authorization': ['Bearer abcdefgh']}", "abcdefgh"),
        ("[('Authorization', 'Basic abcdefgh')]", "abcdefgh"),
        ("<X-Amz-Security-Token>abcdefgh</X-Amz-Security-Token>", "abcdefgh"),
        ("X-Amz-Security-Token: FwoGZXIvYXdz//x==", "FwoGZXIvYXdz"),
        ("https://s3/b/k?X-Amz-Credential=AKIAX%2Fr&X-Amz-Signature=0af1&x=1", "AKIAX 0af1"),
        ("https://s3/b/k?AWSAccessKeyId=AKIAX&Signature=abc%3D&Expires=1", "AKIAX abc%3D"),
        ("Signature:\n" + "0a" * 32, "0a" * 32),
        ("Cannot connect to proxy http://user:pa55@proxy:3128", "pa55"),
        ("connection string host=db password=hunter2 dbname=x", "hunter2"),
        ("http://localhost:9000/?password=hunter2&x=1", "hunter2"),
    ],
)  # fmt: skip
def test_signed_headers_and_addresses_with_passwords_are_hidden_whosever_they_are(text: str, secret: str) -> None:
    left = Mask().text(text)
    assert not any(part in left for part in secret.split())


@pytest.mark.parametrize(
    "text",
    [
        "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        "FATAL:  password authentication failed for user", "delete 'a@b/c.png' (bucket)", "http://minio:9000/bucket/key@2x.png",
        "the signature is none", "X-Amz-Date: 20261130T000000Z", "a token that nobody knows",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
        "AuthorizationHeaderMalformed: The authorization header that you provided is not valid",
        "Authorization: header is missing", "authorization: access denied", "proxy-authorization required (407)",
        "X-Amz-Security-Token is not supported here", "the X-Amz-Signature header must be given",
        "x-amz-credential must be of this region", "authorization, basic or bearer, is needed",
    ],
)  # fmt: skip
def test_other_words_stay_as_they_are(text: str) -> None:
    assert mask(PASSWORD="something-else").text(text) == text


def formatted(record: Any, *, text: bool) -> str:
    return logs.Formatter(text=text).format(record)


@pytest.mark.parametrize("text", [False, True])
def test_logs_hide_messages_arguments_fields_and_tracebacks(*, text: bool) -> None:
    MASK.learn({"PASSWORD": VALUE})
    try:
        int(VALUE)
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "message %s", (VALUE,), sys.exc_info())
    record.why, record.deep = VALUE, {"a": [VALUE, b"x", 7, True]}
    line = formatted(record, text=text)
    assert "ValueError" in line
    assert "canary" not in line
    if not text:
        assert json.loads(line)["deep"]["a"][2:] == [7, True]


def test_an_error_that_nobody_catches_is_logged_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    MASK.learn({"PASSWORD": VALUE})
    before = sys.excepthook, threading.excepthook, logging.getLogger().handlers[:]
    try:
        logs.setup("json")
        thread = threading.Thread(target=lambda: int(VALUE))
        thread.start()
        thread.join()
    finally:
        sys.excepthook, threading.excepthook, logging.getLogger().handlers = before
        logging.captureWarnings(capture=False)
    said = capsys.readouterr()
    assert json.loads(said.err)["trace"]
    assert "canary" not in said.err + said.out


def test_a_result_hides_message_facts_and_samples() -> None:
    MASK.learn({"PASSWORD": VALUE})
    sample = Sample(key=f"a/{VALUE}", outcome="failed", message=VALUE)
    when = datetime(2026, 11, 30, tzinfo=UTC)
    result = RunResult(message=VALUE, facts={"fact": VALUE}, samples=(sample,), counts={"x": 1}, marks={"m": when})
    said = result.masked()
    assert "canary" not in repr(said)
    assert (said.counts, said.marks) == (result.counts, result.marks)
    assert said.encode()
