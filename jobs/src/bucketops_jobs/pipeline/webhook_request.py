"""The head of an HTTP/1.1 request, as strictly as https://www.rfc-editor.org/rfc/rfc9112 allows. Pure.

What two programs could read in two ways is refused: a proxy before us and we must never disagree where a request ends.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

HEAD_BYTES = 16 << 10
BODY_BYTES = 1 << 20
END = b"\r\n\r\n"
_LINES = 100
_REQUEST = re.compile(rb"([A-Z]{1,16}) [\x21-\x7e]{1,8192} HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):([\x20-\x7e\x80-\xff\t]*)")
"""Blanks around a value are taken off afterwards: a pattern that may place them in many ways says no after an hour."""
_LENGTH = re.compile(rb"[0-9]{1,10}")


class RequestError(Exception):
    """The request is refused; `status` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True)
class Head:
    """A method and the header fields by their names in lower case."""

    method: str
    fields: Mapping[bytes, bytes]


def parse(text: bytes) -> Head:
    """Return the head of a request, given without the empty line at its end; RequestError for what is malformed.

    A field that stands twice is refused, and so is every Transfer-Encoding: senders of events know the length.
    """
    first, *lines = text.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None or len(lines) > _LINES:
        raise RequestError(HTTPStatus.BAD_REQUEST)
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or (name := field[1].lower()) in fields:
            raise RequestError(HTTPStatus.BAD_REQUEST)
        fields[name] = field[2].strip(b" \t")
    if b"transfer-encoding" in fields:
        raise RequestError(HTTPStatus.NOT_IMPLEMENTED)
    return Head(request[1].decode(), fields)


def require_token(head: Head, token: str) -> None:
    """Refuse a request that does not bear the token; digests are compared, in a time that tells nothing.

    The scheme counts in any case: https://www.rfc-editor.org/rfc/rfc9110#section-11.1
    """
    scheme, _, given = head.fields.get(b"authorization", b"").partition(b" ")
    known = hashlib.sha256(token.encode()).digest()
    is_right = hmac.compare_digest(hashlib.sha256(given.strip(b" ")).digest(), known)
    if scheme.lower() != b"bearer" or not is_right:
        raise RequestError(HTTPStatus.UNAUTHORIZED)


def body_length(head: Head) -> int:
    """Return the length of the body in bytes; RequestError where none is said, or more than BODY_BYTES."""
    text = head.fields.get(b"content-length", b"")
    if not _LENGTH.fullmatch(text):
        raise RequestError(HTTPStatus.BAD_REQUEST if text else HTTPStatus.LENGTH_REQUIRED)
    if int(text) > BODY_BYTES:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)
