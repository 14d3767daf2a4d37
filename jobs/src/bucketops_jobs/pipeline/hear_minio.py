"""MinIO's ListenBucketNotification: one long answer with an event per line.

It keeps nothing: what happens while nobody listens, or faster than the listener reads, is the sweep's.

MinIO's last releases never flush that answer (the handler's writer hides that it can be flushed), so that an event
waits until later ones fill a buffer of two kilobytes. The end of an answer is always sent: there, a stream is told
twice a second that nothing more is asked, says what it holds and ends, after the next one has begun to listen. To tell
it so, the TCP connection is shut down for writing: https://pkg.go.dev/net/http#Request.Context. An event that both
streams tell of is done once.
"""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

from bucketops_api import counts
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import TransientError, UserError, WorkerError
from bucketops_jobs.pipeline.desk import Desk
from bucketops_jobs.pipeline.notices import NoticeError, read
from bucketops_jobs.s3 import failures, proxies
from bucketops_jobs.s3.identity import ca_file
from bucketops_jobs.s3.route import trust
from bucketops_jobs.s3.wire import Request, error_of

log = logging.getLogger(__name__)

EVENTS = ("s3:ObjectCreated:*",)
SILENCE_SECONDS = 15.0
"""A server that flushes says something at least every half second; one that does not ends a stream when told to."""
FLUSH_SECONDS = 1.5
"""A server that has not begun its answer by then does not flush."""
TURN_SECONDS, OVERLAP_SECONDS = 0.4, 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
_OK = 200
_BLOCK = 1 << 16
_UNKNOWN = {400, 405, 501}
_LONGEST_LINE = 4 << 20


def hear(desk: Desk) -> None:
    """Until told to stop; whenever the connection ends it is made again."""
    stop, pause = desk.context.engine.stop, FIRST_PAUSE
    while not stop.is_set():
        began = time.monotonic()
        try:
            _follow(desk)
        except (http.client.HTTPException, OSError, TransientError) as error:
            log.warning("the stream of events ended", extra={"why": str(error)})
        desk.listening = False
        pause = FIRST_PAUSE if time.monotonic() - began > LONGEST_PAUSE else min(LONGEST_PAUSE, pause * 2)
        stop.wait(pause)


def _follow(desk: Desk) -> None:
    """One stream as long as it goes, or one after the other."""
    stop, stream = desk.context.engine.stop, _Stream(desk)
    try:
        flushed = stream.began.wait(FLUSH_SECONDS)
        stream.require()
        desk.begin()
        log.info("listening", extra={"bucket": desk.context.source.bucket, "flushed": flushed})
        while not stop.wait(TURN_SECONDS):
            if flushed:
                stream.require()
            else:
                stream = _relieved(desk, stream)
    finally:
        stream.close()


def _relieved(desk: Desk, stream: _Stream) -> _Stream:
    """The next one listens before this one is told to end."""
    following = _Stream(desk)
    desk.context.engine.stop.wait(OVERLAP_SECONDS)
    stream.finish()
    following.require()
    return following


class _Stream:
    """One answer, read by a thread of its own. OSError when nobody is there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._error: Exception | None = None
        self._finishing = False
        self._ended = False
        self.began = threading.Event()
        """The answer has, or there will be none."""
        url, headers = _signed(desk)
        self._connection = _connection(desk, url)
        parts = urlsplit(url)
        self._connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        self._socket: socket.socket = self._connection.sock
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def require(self) -> None:
        """Raise what ended it."""
        if self._error is not None:
            raise self._error
        if self._ended and not self._finishing:
            raise TransientError("the server ended the stream of events")

    def finish(self) -> None:
        """Ask for no more: what the server holds still comes."""
        self._finishing = True
        with suppress(OSError):  # a TLS connection too: its own shutdown would forget how to read
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """End it at once."""
        self._finishing = True
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            with self._connection.getresponse() as answer:
                if answer.status != _OK:
                    raise _refused(answer.status, answer.read(_BLOCK), self._desk.context.spec.source)  # noqa: TRY301
                self.began.set()
                for line in _lines(answer):
                    _told(self._desk, line)
        except Exception as error:  # noqa: BLE001 - raised where the stream is followed
            self._error = None if self._finishing and not isinstance(error, UserError) else error
        finally:
            self._ended = True
            self.began.set()
            self._socket.close()
            self._connection.close()


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Whole lines; blanks keep the connection alive."""
    rest = b""
    while block := answer.read1(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line.strip())
        rest = rest.lstrip()
        if len(rest) > _LONGEST_LINE:
            raise TransientError("an event without an end")


def _connection(desk: Desk, url: str) -> http.client.HTTPConnection:
    """Through a proxy by a tunnel, whatever the scheme: a half of the connection is to be shut down."""
    there, ref = urlsplit(url), desk.context.spec.source
    proxy = proxies.of_endpoint(url)
    first = (proxy.host, proxy.port) if proxy else (there.hostname or "", there.port)
    if there.scheme != "https":
        made = http.client.HTTPConnection(*first, timeout=SILENCE_SECONDS)
    else:
        bundle = ca_file(ref.ca_bundle, desk.context.root) if ref.ca_bundle else None
        made = http.client.HTTPSConnection(*first, timeout=SILENCE_SECONDS, context=trust(bundle))
    if proxy:
        made.set_tunnel(there.hostname or "", there.port, headers=proxies.headers(proxy))
    return made


def _told(desk: Desk, line: bytes) -> None:
    try:
        notices = read(line, escaped=False)
    except NoticeError as error:
        desk.context.tally.add(counts.EVENTS_UNREAD)
        log.warning("an event that cannot be read", extra={"why": str(error)})
        return
    for notice in notices:
        desk.tell(notice)


def _signed(desk: Desk) -> tuple[str, Mapping[str, str]]:
    """A request of the source's identity, which is asked anew each time: what expires is refreshed."""
    ref = desk.context.spec.source
    if ref.endpoint is None:
        raise UserError(
            Reason.INVALID_SPEC,
            "events.minio needs source.endpoint and credentials; on AWS write events.sqs or events.webhook",
        )
    query = urlencode([("events", event) for event in EVENTS] + [("prefix", ref.prefix), ("suffix", "")])
    url = f"{ref.endpoint.rstrip('/')}/{ref.bucket}?{query}"
    parts = urlsplit(url)
    request = Request("ListenBucketNotification", "GET", f"{parts.path}?{parts.query}")
    return url, dict(desk.context.source.signed(request, parts.netloc))


def _refused(status: int, body: bytes, ref: BucketRef) -> WorkerError:
    error = failures.from_answer(status, *error_of(body), f"listen ({ref.bucket})")
    if status in _UNKNOWN:
        return UserError(
            Reason.INVALID_SPEC, f"{error}: the server tells nobody of its events; leave events out, or write webhook"
        )
    if isinstance(error, UserError | TransientError):
        return error
    return UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListenBucketNotification on the bucket")
