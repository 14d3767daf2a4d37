"""S3's notifications in an SQS queue: whoever receives a message does all of its records, then deletes it.

A message whose pictures failed comes again when it becomes visible; the queue's redrive policy says how often.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ways-to-add-notification-config-to-bucket.html
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.config import Config

from bucketops_api import counts
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.exifpipeline import SqsEvents
from bucketops_jobs.errors import UserError
from bucketops_jobs.pipeline.desk import Desk
from bucketops_jobs.pipeline.notices import NoticeError, read
from bucketops_jobs.s3 import boto

log = logging.getLogger(__name__)

WAIT_SECONDS = 5
"""Of one long poll: so soon a pod notices that it is told to stop."""
VISIBILITY_SECONDS = 120
"""A message in hand stays invisible to others so long, and is renewed in good time."""
AGAIN_SECONDS = 30
"""After a failure."""
BATCH = 10
PAUSE_SECONDS = 2.0
_DENIED = {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch"}
_ABSENT = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


def hear(desk: Desk, spec: SqsEvents) -> None:
    """Until told to stop. No more is received than is soon done: the rest is for other pods."""
    queue, stop = _Queue(desk, spec), desk.context.engine.stop
    most = 4 * desk.context.spec.worker.concurrency
    renewing = threading.Thread(target=queue.renew, name="renew", daemon=True)
    renewing.start()
    while not stop.is_set():
        if desk.inbox.pending >= most:
            stop.wait(0.05)
            continue
        try:
            for message in queue.receive():
                queue.take(message)
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            desk.listening = False
            _require_rights(error, spec)
            log.warning("the queue did not answer", extra={"why": str(error)})
            stop.wait(PAUSE_SECONDS)


class _Queue:
    """The queue, and the messages in hand."""

    def __init__(self, desk: Desk, spec: SqsEvents) -> None:
        ref = desk.context.spec.source
        caller = boto.session(ref, desk.context.root)
        url = urlsplit(spec.queue_url)
        self._client: Any = caller.client(
            "sqs",
            region_name=spec.region or ref.region or caller.region_name,
            endpoint_url=f"{url.scheme}://{url.netloc}",
            config=Config(connect_timeout=5, read_timeout=WAIT_SECONDS + 10, retries={"total_max_attempts": 2}),
        )
        self._url, self._desk = spec.queue_url, desk
        self._in_hand: set[str] = set()
        self._lock = threading.Lock()

    def receive(self) -> list[dict[str, Any]]:
        """At most ten messages, by a long poll."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=VISIBILITY_SECONDS,
        )
        if not self._desk.listening:
            log.info("listening", extra={"queue": self._url})
        self._desk.listening = True
        return list(answer.get("Messages", ()))

    def take(self, message: dict[str, Any]) -> None:
        """Submit all records of a message. One that is no event is deleted: it would come again for ever."""
        handle = str(message.get("ReceiptHandle", ""))
        try:
            notices = read(message.get("Body", ""))
        except NoticeError as error:
            self._desk.context.tally.add(counts.EVENTS_UNREAD)
            log.warning("a message that is no event was deleted", extra={"why": str(error)})
            notices = []
        with self._lock:
            self._in_hand.add(handle)
        done = _All(len(notices) + 1, lambda *, settled: self._end(handle, settled=settled))
        for notice in notices:
            if not self._desk.tell(notice, done):
                done(settled=False)
        done(settled=True)

    def renew(self) -> None:
        """Keep the messages in hand invisible."""
        while not self._desk.context.engine.stop.wait(VISIBILITY_SECONDS / 3):
            with self._lock:
                handles = list(self._in_hand)
            for handle in handles:
                self._ask("change_message_visibility", handle, VisibilityTimeout=VISIBILITY_SECONDS)

    def _end(self, handle: str, *, settled: bool) -> None:
        with self._lock:
            self._in_hand.discard(handle)
        if settled:
            self._ask("delete_message", handle)
        else:
            seconds = 0 if self._desk.context.engine.stop.is_set() else AGAIN_SECONDS
            self._ask("change_message_visibility", handle, VisibilityTimeout=seconds)

    def _ask(self, call: str, handle: str, **arguments: object) -> None:
        """A message that cannot be deleted comes again, and is found to be done."""
        try:
            getattr(self._client, call)(QueueUrl=self._url, ReceiptHandle=handle, **arguments)
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            log.warning("the queue refused", extra={"call": call, "why": str(error)})


class _All:
    """Says once that all parts have ended, and whether each was settled."""

    def __init__(self, parts: int, end: Any) -> None:  # noqa: ANN401 - a Done
        self._left, self._well, self._end = parts, True, end
        self._lock = threading.Lock()

    def __call__(self, *, settled: bool) -> None:
        with self._lock:
            self._left -= 1
            self._well &= settled
            last = not self._left
        if last:
            self._end(settled=self._well)


def _require_rights(error: Exception, spec: SqsEvents) -> None:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, exceptions.ClientError) else ""
    if code in _DENIED:
        rights = "sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility"
        raise UserError(Reason.ACCESS_DENIED, f"{spec.queue_url}: {error}: allow {rights}") from error
    if code in _ABSENT:
        raise UserError(
            Reason.INVALID_SPEC, f"{spec.queue_url}: {error}: create the queue, or mend events.sqs.queueUrl"
        ) from error
