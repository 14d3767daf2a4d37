"""Who asks, proved to S3: AWS Signature Version 4 in headers. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bucketops_jobs.s3.wire import FileBody, Headers, Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_NOTHING = hashlib.sha256(b"").hexdigest()


class Credentials(NamedTuple):
    """What S3 knows a caller by."""

    access_key: str
    secret_key: str
    token: str = ""
    """Of a session, if the keys are one's."""


Identity = Callable[[], Credentials]
"""Asked for each request: what expires is refreshed there."""


Fold = Callable[[str], str]
"""What is signed of a header's value."""
_SPACES = re.compile(" {2,}")
_BLANK = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
"""Go's unicode.IsSpace."""
_BLANKS, _ENDS = re.compile(_BLANK), re.compile(f"^{_BLANK}|{_BLANK}$")


def folded_spaces(value: str) -> str:
    """As S3 documents it and most servers do: spaces at the ends go, those in a row are one."""
    stripped = value.strip(" \t")  # which are no part of a value in HTTP
    return _SPACES.sub(" ", stripped) if "  " in stripped else stripped


def folded_blanks(value: str) -> str:
    """As MinIO does: the same of all that Unicode calls a blank (its cmd/signature-v4-utils.go, signV4TrimAll)."""
    return _BLANKS.sub(" ", value).strip(" ")


def trimmed_blanks(value: str) -> str:
    """As versitygw and AWS's SDK for Go do: spaces in a row are one, and at the ends all of Unicode's blanks go."""
    return _ENDS.sub("", _SPACES.sub(" ", value))


FOLDS: tuple[Fold, ...] = (folded_spaces, folded_blanks, trimmed_blanks)


def ambiguous(headers: Headers) -> bool:
    """Whether servers disagree on what is signed of these headers."""
    return any(len({fold(value) for fold in FOLDS}) > 1 for _, value in headers)


def sign(
    request: Request, host: str, who: Credentials, region: str, now: float, *, fold: Fold = folded_spaces
) -> Headers:
    """All headers of a request that its signature covers, and the signature. `now` is in seconds since 1970."""
    stamp = _stamp(int(now))
    digest = _digest(request.body)
    headers = [("host", host), *((name.lower(), value) for name, value in request.headers)]
    headers += [("x-amz-content-sha256", digest), ("x-amz-date", stamp)]
    if who.token:
        headers.append(("x-amz-security-token", who.token))
    headers.sort()
    names = ";".join([name for name, _ in headers])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    asked = _canonical(request, headers, names, digest, fold).encode(errors="surrogateescape")
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(asked).hexdigest()}"
    proof = hmac.digest(_key(who.secret_key, stamp[:8], region), text.encode(), "sha256").hex()
    value = f"{_ALGORITHM} Credential={who.access_key}/{scope}, SignedHeaders={names}, Signature={proof}"
    return [*headers, ("authorization", value)]


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    """The time as it is signed; thousands of requests share it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


def _digest(body: bytes | FileBody) -> str:
    if isinstance(body, FileBody):
        return body.sha256
    return hashlib.sha256(body).hexdigest() if body else _NOTHING


def _canonical(request: Request, headers: Headers, names: str, digest: str, fold: Fold) -> str:
    """The path as it is sent: S3 neither normalizes it nor encodes it twice."""
    path, _, query = request.path.partition("?")
    pairs = sorted([part.partition("=") for part in query.split("&")]) if query else []
    ordered = "&".join([f"{name}={value}" for name, _, value in pairs])
    lines = "".join([f"{name}:{value}\n" for name, value in headers])
    if fold is not folded_spaces or _to_fold(lines):
        lines = "".join([f"{name}:{fold(value)}\n" for name, value in headers])
    return f"{request.method}\n{path}\n{ordered}\n{lines}\n{names}\n{digest}"


def _to_fold(lines: str) -> bool:
    """Whether blanks stand side by side, or at an end of a value, in the lines of headers; in few requests they do."""
    return "  " in lines or ": " in lines or ":\t" in lines or " \n" in lines or "\t\n" in lines


@lru_cache(maxsize=16)
def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
