"""MinIO's ListenBucketNotification: one long answer with an event per line.

It keeps nothing: what happens while nobody listens, or faster than the listener reads, is the sweep's.
https://docs.min.io/community/minio-object-store/developers/python/API.html#listen_bucket_notification
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import StoppedError, TransientError, UserError, WorkerError
from bucketops_jobs.pipeline.desk import Desk
from bucketops_jobs.pipeline.notices import NoticeError, read
from bucketops_jobs.s3 import failures, identity
from bucketops_jobs.s3.connect import ca_file
from bucketops_jobs.s3.wire import error_of

log = logging.getLogger(__name__)

EVENTS = ("s3:ObjectCreated:*",)
CONNECT_SECONDS, SILENCE_SECONDS = 5.0, 15.0
"""The server says something at least every half second: after so much silence it is gone."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
_OK = 200
_BLOCK = 1 << 16
_UNKNOWN = {400, 405, 501}
_LONGEST_LINE = 4 << 20


def hear(desk: Desk) -> None:
    """Until told to stop; whenever the connection ends it is made again."""
    stop, pause = desk.context.engine.stop, FIRST_PAUSE
    ref = desk.context.spec.source
    bundle = str(ca_file(ref.ca_bundle, desk.context.root)) if ref.ca_bundle else None
    with urllib3.PoolManager(ca_certs=bundle, retries=False) as pool:
        while not stop.is_set():
            began = time.monotonic()
            try:
                _listen(desk, pool)
            except (urllib3.exceptions.HTTPError, OSError, TransientError) as error:
                log.warning("the stream of events ended", extra={"why": str(error)})
            desk.listening = False
            pause = FIRST_PAUSE if time.monotonic() - began > LONGEST_PAUSE else min(LONGEST_PAUSE, pause * 2)
            stop.wait(pause)


def _listen(desk: Desk, pool: urllib3.PoolManager) -> None:
    url, headers = _signed(desk)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
    answer = pool.request("GET", url, headers=dict(headers), preload_content=False, timeout=timeout)
    try:
        if answer.status != _OK:
            raise _refused(answer.status, answer.read(_BLOCK), desk.context.spec.source)
        desk.listening = True
        log.info("listening", extra={"bucket": desk.context.source.bucket})
        for line in _lines(desk, answer):
            _told(desk, line)
    except StoppedError:
        return
    finally:
        answer.close()


def _lines(desk: Desk, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Whole lines; blanks keep the connection alive."""
    rest = b""
    for block in answer.stream(_BLOCK):
        if desk.context.engine.stop.is_set():
            raise StoppedError("told to stop")
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line.strip())
        rest = rest.lstrip()
        if len(rest) > _LONGEST_LINE:
            raise TransientError("an event without an end")


def _told(desk: Desk, line: bytes) -> None:
    try:
        notices = read(line, escaped=False)
    except NoticeError as error:
        desk.context.tally.add("eventsUnread")
        log.warning("an event that cannot be read", extra={"why": str(error)})
        return
    for notice in notices:
        desk.tell(notice)


def _signed(desk: Desk) -> tuple[str, Mapping[str, str]]:
    """A request of the source's identity, which is asked anew each time: what expires is refreshed."""
    ref = desk.context.spec.source
    caller = identity.session(ref, desk.context.root)
    credentials = caller.get_credentials()
    if credentials is None or ref.endpoint is None:
        raise UserError(
            Reason.INVALID_SPEC,
            "events.minio needs source.endpoint and credentials; on AWS write events.sqs or events.webhook",
        )
    query = urlencode([("events", event) for event in EVENTS] + [("prefix", ref.prefix), ("suffix", "")])
    request = AWSRequest("GET", f"{ref.endpoint.rstrip('/')}/{ref.bucket}?{query}")
    S3SigV4Auth(credentials.get_frozen_credentials(), "s3", caller.region_name).add_auth(request)
    return str(request.url), dict(request.headers.items())


def _refused(status: int, body: bytes, ref: BucketRef) -> WorkerError:
    error = failures.from_answer(status, *error_of(body), f"listen ({ref.bucket})")
    if status in _UNKNOWN:
        return UserError(
            Reason.INVALID_SPEC, f"{error}: the server tells nobody of its events; leave events out, or write webhook"
        )
    if isinstance(error, UserError | TransientError):
        return error
    return UserError(Reason.ACCESS_DENIED, f"{error}: allow s3:ListenBucketNotification on the bucket")
