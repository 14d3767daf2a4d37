"""Events of S3, MinIO, SNS and EventBridge -> which keys have changed. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus


class NoticeError(ValueError):
    """What was told is no event; the message says why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One record: something happened to a key. What it is now, only the bucket knows."""

    bucket: str
    key: str
    removed: bool
    at: datetime | None
    """When it happened, as the server says."""


def read(text: str | bytes, *, escaped: bool = True) -> list[Notice]:
    """Every record of a message; none in S3's test event. NoticeError for anything else.

    `escaped`: keys are encoded as in a query, so that `+` is a space: so in S3's notifications and those of MinIO's
    targets, but neither in MinIO's ListenBucketNotification nor in EventBridge.
    """
    try:
        message = json.loads(text)
    except ValueError as error:
        raise NoticeError(f"no JSON: {error}") from error
    return list(_records(message, escaped=escaped))


def share(key: str, replicas: int) -> int:
    """The replica that a key belongs to, from 0: the same one for ever, whatever the order of events."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % replicas


def _records(message: Any, *, escaped: bool) -> Iterator[Notice]:  # noqa: ANN401 - JSON
    if not isinstance(message, Mapping):
        raise NoticeError("no JSON object")
    if message.get("Type") == "Notification":  # SNS, without raw message delivery
        yield from read(str(message.get("Message")), escaped=escaped)
    elif "detail" in message and "detail-type" in message:
        yield _from_event_bridge(message)
    elif isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield _record(record, escaped=escaped)
    elif message.get("Event") != "s3:TestEvent":
        raise NoticeError(f"neither Records nor detail among {', '.join(sorted(message)) or 'no fields'}")


def _record(record: Any, *, escaped: bool) -> Notice:  # noqa: ANN401 - JSON
    try:
        name, what = str(record["eventName"]), record["s3"]
        bucket, key = str(what["bucket"]["name"]), str(what["object"]["key"])
    except (KeyError, TypeError) as error:
        raise NoticeError(f"a record without {error}") from error
    removed = name.removeprefix("s3:").startswith(("ObjectRemoved:", "LifecycleExpiration:"))
    return Notice(bucket, unquote_plus(key) if escaped else key, removed, _time(record.get("eventTime")))


def _from_event_bridge(message: Mapping[str, Any]) -> Notice:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html: keys are as they are."""
    try:
        detail = message["detail"]
        bucket, key = str(detail["bucket"]["name"]), str(detail["object"]["key"])
    except (KeyError, TypeError) as error:
        raise NoticeError(f"an event without {error}") from error
    return Notice(bucket, key, message["detail-type"] == "Object Deleted", _time(message.get("time")))


def _time(text: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
