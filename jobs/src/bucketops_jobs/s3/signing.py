"""Who asks, proved to S3: AWS Signature Version 4 in headers. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bucketops_jobs.s3.wire import Headers, Request

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


def sign(request: Request, host: str, who: Credentials, region: str, now: float) -> Headers:
    """All headers of a request that its signature covers, and the signature. `now` is in seconds since 1970."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    digest = hashlib.sha256(request.body).hexdigest() if request.body else _NOTHING
    headers = [("host", host), *((name.lower(), value) for name, value in request.headers)]
    headers += [("x-amz-content-sha256", digest), ("x-amz-date", stamp)]
    if who.token:
        headers.append(("x-amz-security-token", who.token))
    headers.sort()
    names = ";".join([name for name, _ in headers])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    canonical = hashlib.sha256(_canonical(request, headers, names, digest).encode(errors="surrogateescape")).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{canonical}"
    proof = hmac.digest(_key(who.secret_key, stamp[:8], region), text.encode(), "sha256").hex()
    value = f"{_ALGORITHM} Credential={who.access_key}/{scope}, SignedHeaders={names}, Signature={proof}"
    return [*headers, ("authorization", value)]


def _canonical(request: Request, headers: Headers, names: str, digest: str) -> str:
    """The path as it is sent: S3 neither normalizes it nor encodes it twice."""
    path, _, query = request.path.partition("?")
    ordered = "&".join(["=".join(pair) for pair in sorted([part.split("=", 1) for part in query.split("&")])])
    lines = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in headers])
    return f"{request.method}\n{path}\n{ordered}\n{lines}\n{names}\n{digest}"


@lru_cache(maxsize=16)
def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
