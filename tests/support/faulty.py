"""What a store answers on a bad day, and what a database hears: rules of proxies in front of real ones."""

from __future__ import annotations

import base64
import itertools
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, unquote_plus, urlsplit

from support.proxy import Answer, Broken, Request
from support.relay import Cut

Matches = Callable[[Request], object]


def error(code: str) -> bytes:
    """The body of an error of S3."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<Error><Code>{code}</Code><Message>a bad day</Message></Error>".encode()


def anything(_: Request) -> bool:
    """Every request."""
    return True


def is_listing(request: Request) -> bool:
    """ListObjectsV2."""
    return request.method == "GET" and "list-type=2" in request.path


def is_copy(request: Request) -> bool:
    """CopyObject."""
    return request.method == "PUT" and any(name.lower() == "x-amz-copy-source" for name in request.headers)


class Bursts:
    """Every so many seconds all requests are answered by SlowDown for a while: a prefix of AWS before it is split."""

    def __init__(self, every: float = 2.0, length: float = 0.3) -> None:
        self._every, self._length = every, length
        self.told = 0

    def __call__(self, _: Request) -> Answer | None:
        if time.monotonic() % self._every > self._length:
            return None
        self.told += 1
        return Answer(503, error("SlowDown"))


class Sometimes:
    """An answer of the proxy's own to a share of the requests; every second one once the server has done its part."""

    def __init__(self, chance: random.Random, share: float, answer: Answer, matches: Matches = anything) -> None:
        self._chance, self._share, self._matches = chance, share, matches
        self._answers = itertools.cycle([answer, replace(answer, late=True)])
        self._lock = threading.Lock()
        self.told = self.late = 0

    def __call__(self, request: Request) -> Answer | None:
        if not self._matches(request) or self._chance.random() >= self._share:
            return None
        with self._lock:
            answer = next(self._answers)
            self.told, self.late = self.told + 1, self.late + answer.late
        return answer


class Refusing:
    """The next few requests that match are answered by an error of the server."""

    def __init__(self, matches: Matches, status: int = 500, code: str = "InternalError") -> None:
        self._matches, self._answer, self._left = matches, Answer(status, error(code)), 0
        self._lock = threading.Lock()
        self.told = 0

    def refuse(self, number: int) -> None:
        """So many from now on."""
        self._left = number

    def __call__(self, request: Request) -> Answer | None:
        with self._lock:
            if self._left <= 0 or not self._matches(request):
                return None
            self._left -= 1
            self.told += 1
            return self._answer


class Cutting:
    """Cuts the worker's connection at every third UPDATE or COMMIT of a rewrite, each time at another moment of it.

    Its COMMIT is written out; that of psycopg2, which everybody else uses, is not.
    """

    def __init__(self) -> None:
        self.cuts: Counter[Cut] = Counter()
        self._count, self._order = itertools.count(), itertools.cycle(Cut)

    def __call__(self, said: bytes) -> Cut | None:
        if not (b"FOR NO KEY UPDATE" in said or b"COMMIT TRANSACTION" in said) or next(self._count) % 3:
            return None
        cut = next(self._order)
        self.cuts[cut] += 1
        return cut


class Slow:
    """Each request waits up to so many seconds, and each answer comes at so many bytes a second."""

    def __init__(self, chance: random.Random, seconds: float, rate: float) -> None:
        self._chance, self._seconds, self._rate = chance, seconds, rate

    def __call__(self, _: Request) -> None:
        time.sleep(self._chance.uniform(0, self._seconds))

    def body(self, _: Request, data: bytes) -> bytes:
        """For the proxy."""
        time.sleep(len(data) / self._rate)
        return data


class Pages:
    """Listings in short pages, as a server may give them; every few pages one is damaged, each time otherwise."""

    def __init__(self, size: int = 30, every: int = 0) -> None:
        self._size, self._every, self._count = size, every, itertools.count(1)
        self._damages = itertools.cycle(DAMAGES)
        self.damaged: Counter[str] = Counter()

    def __call__(self, request: Request, body: bytes) -> bytes:
        if not is_listing(request) or b"<ListBucketResult" not in body:
            return body
        page = _shortened(body, self._size)
        if not self._every or next(self._count) % self._every:
            return page
        damage = next(self._damages)
        self.damaged[damage.__name__] += 1
        return damage(request, page)


def _shortened(body: bytes, size: int) -> bytes:
    """The first keys of a page, and a token with which MinIO goes on after them."""
    found = list(re.finditer(rb"<Contents>.*?</Contents>", body, re.DOTALL))
    if len(found) <= size:
        return body
    kept, last = found[size - 1], found[-1]
    (key,) = re.findall(rb"<Key>(.*?)</Key>", kept[0])
    page = body[: kept.end()] + body[last.end() :]
    return _going_on(page, size, unquote_plus(key.decode()))


def _going_on(page: bytes, count: int, marker: str) -> bytes:
    page = re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", page)
    page = re.sub(rb"<KeyCount>\d+</KeyCount>", b"<KeyCount>%d</KeyCount>" % count, page)
    page = page.replace(b"<IsTruncated>false<", b"<IsTruncated>true<")
    token = base64.b64encode(marker.encode())
    return page.replace(
        b"</ListBucketResult>", b"<NextContinuationToken>%b</NextContinuationToken></ListBucketResult>" % token
    )


def _connection_cut(_: Request, page: bytes) -> bytes:
    return Broken(page)


def _text_cut(_: Request, page: bytes) -> bytes:
    return page[: len(page) * 2 // 3]


def _key_left_out(_: Request, page: bytes) -> bytes:
    return re.sub(rb"<Contents>.*?</Contents>", b"", page, count=1, flags=re.DOTALL)


def _count_too_high(_: Request, page: bytes) -> bytes:
    return re.sub(rb"<KeyCount>(\d+)</KeyCount>", rb"<KeyCount>1\1</KeyCount>", page)


def _no_token(_: Request, page: bytes) -> bytes:
    return re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", page)


def _empty(request: Request, page: bytes) -> bytes:
    """Allowed: no key, and the listing goes on."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    token = asked.get("continuation-token")
    after = base64.b64decode(token).decode() if token else asked.get("start-after", asked.get("prefix", ""))
    return _going_on(re.sub(rb"<Contents>.*?</Contents>", b"", page, flags=re.DOTALL), 0, f"{after}!")


DAMAGES: tuple[Callable[[Request, bytes], bytes], ...] = (
    _connection_cut,
    _text_cut,
    _key_left_out,
    _count_too_high,
    _no_token,
    _empty,
)
"""What may come instead of a page."""


def is_completion(request: Request) -> bool:
    """CompleteMultipartUpload."""
    return request.method == "POST" and "uploadId=" in request.path


class Rgw:
    """As Ceph RGW 16: a quoted If-Match of a write is refused, right or wrong, and completions answer no ETag.

    `bare`: whether an ETag without quotes is taken, as there.
    """

    def __init__(self, *, bare: bool = True, matches: Matches = anything) -> None:
        self._bare, self._matches = bare, matches

    def __call__(self, request: Request) -> Answer | None:
        given = next((value for name, value in request.headers.items() if name.lower() == "if-match"), None)
        if request.method not in ("PUT", "POST") or given is None or not self._matches(request):
            return None
        return Answer(412, error("PreconditionFailed")) if given.startswith('"') or not self._bare else None

    def body(self, request: Request, data: bytes) -> bytes:
        """For the proxy."""
        return re.sub(rb"<ETag>.*?</ETag>", b"<ETag></ETag>", data) if is_completion(request) else data


class Shown:
    """What listings show of one key is another thing than what is there; `how` changes its <Contents>."""

    def __init__(self, key: str, how: Callable[[bytes], bytes]) -> None:
        self._wanted, self._how = f"<Key>{key}</Key>".encode(), how

    def __call__(self, request: Request, body: bytes) -> bytes:
        if not is_listing(request) or self._wanted not in body:
            return body
        found = next(one for one in re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL) if self._wanted in one)
        changed = self._how(found)
        if not changed:
            count = int(re.findall(rb"<KeyCount>(\d+)</KeyCount>", body)[0])
            body = body.replace(b"<KeyCount>%d<" % count, b"<KeyCount>%d<" % (count - 1))
        return body.replace(found, changed)


def another_size(contents: bytes) -> bytes:
    """Bytes are missing, behind the right ETag."""
    return re.sub(rb"<Size>\d+</Size>", b"<Size>1</Size>", contents)


def another_object(contents: bytes) -> bytes:
    """As of a body that was cut off, though the answer had the right ETag."""
    return re.sub(rb"(&#34;|&quot;|\")[0-9a-f]{32}", rb"\g<1>" + b"0" * 32, another_size(contents))


def nothing(_: bytes) -> bytes:
    """It is not listed."""
    return b""
