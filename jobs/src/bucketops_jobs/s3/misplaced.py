"""Where a bucket is, by a server's answer to a request for another region. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingBucket.html#bucket-region-redirect,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bucketops_jobs.s3.wire import Response, error_of

_HEADER = "x-amz-bucket-region"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ELEMENT = re.compile(rb"<Region>([^<]{1,63})</Region>")
_EXPECTED = re.compile(r"expect(?:ing|ed):? (?:'([^']+)'|\S*?/([^/\s]+)/s3/aws4_request)")
"""AWS and MinIO say "expecting 'eu-west-1'", Garage names the scope: `expected: DATE/garage/s3/aws4_request`."""
_HOST = re.compile(
    rb"<Endpoint>[^<]{0,99}?s3[.-](?:fips[.-])?(?:dualstack[.-])?([a-z]{2}[a-z0-9-]{0,40}-[0-9]{1,3})\.amazonaws\.com"
)
MALFORMED = "AuthorizationHeaderMalformed"
_MOVED, _MOVED_FOR_NOW, _BAD = 301, 307, 400
_ANSWERS = {_MOVED, _MOVED_FOR_NOW, _BAD, 403}


def region(answer: Response) -> str:
    """The region that an answer names as the bucket's; nothing where it names none, or is no such answer."""
    if answer.status not in _ANSWERS:
        return ""
    code, message = error_of(answer.body)
    found = answer.header(_HEADER)
    if not found and code == MALFORMED:
        found = _of_element(answer.body)
    if not found and answer.status in {_MOVED, _MOVED_FOR_NOW} and (host := _HOST.search(answer.body)):
        found = host[1].decode()
    return found if _NAME.fullmatch(found) else expected(code, message)


def expected(code: str, message: str) -> str:
    """The region that the message of an AuthorizationHeaderMalformed names."""
    found = _EXPECTED.search(message) if code == MALFORMED else None
    name = (found[1] or found[2]) if found else ""
    return name if _NAME.fullmatch(name) else ""


def address(answer: Response) -> str:
    """Scheme and host to which an answer redirects, as far as they can be shown to people."""
    parts = urlsplit(answer.header("location"))
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme in {"http", "https"} and host.isascii() else ""


def _of_element(body: bytes) -> str:
    found = _ELEMENT.search(body)
    return found[1].decode(errors="replace") if found else ""
