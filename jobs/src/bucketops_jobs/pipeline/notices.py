"""Events of S3, MinIO, SNS and EventBridge -> which keys have changed. Pure; whatever is told is input.

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

KEY_BYTES = 1024
"""Of a key in UTF-8, at most: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
_NESTED = 1
"""SNS wraps a message once. More levels are nothing that S3 sends."""
_SHOWN = 100


class NoticeError(ValueError):
    """The message is no event; the text says why, in at most a few hundred characters."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One record: something happened to a key. What it is now, only the bucket knows."""

    bucket: str
    key: str
    removed: bool
    at: datetime | None
    """When it happened, as the server says."""


def read(text: str | bytes, *, escaped: bool = True) -> list[Notice]:
    """Return every record of a message; none for S3's test event. NoticeError for anything else, whatever it is.

    `escaped`: keys are encoded as in a query, so that `+` is a space: so in S3's notifications and those of MinIO's
    targets, but neither in MinIO's ListenBucketNotification nor in EventBridge.
    """
    return list(_records(_parsed(text), escaped=escaped, nested=0))


def _parsed(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Brackets nested deeper than Python's stack are a RecursionError, which is no ValueError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoticeError(f"no JSON: {str(error)[:_SHOWN]}") from None


def share(key: str, replicas: int) -> int:
    """The replica that a key belongs to, from 0: the same one for ever, whatever the order of events."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % replicas


def _records(message: Any, *, escaped: bool, nested: int) -> Iterator[Notice]:  # noqa: ANN401 - JSON
    if not isinstance(message, Mapping):
        raise NoticeError("no JSON object")
    if message.get("Type") == "Notification" and nested < _NESTED:  # SNS, without raw message delivery
        yield from _records(_parsed(str(message.get("Message"))), escaped=escaped, nested=nested + 1)
    elif "detail" in message and "detail-type" in message:
        yield _from_event_bridge(message)
    elif isinstance(message.get("Records"), list):
        for record in message["Records"]:
            yield _record(record, escaped=escaped)
    elif message.get("Event") != "s3:TestEvent":
        fields = ", ".join(sorted(message))[:_SHOWN] or "no fields"
        raise NoticeError(f"neither Records nor detail among {fields!a}")


def _record(record: Any, *, escaped: bool) -> Notice:  # noqa: ANN401 - JSON
    try:
        name, what = str(record["eventName"]), record["s3"]
        bucket, key = what["bucket"]["name"], what["object"]["key"]
    except (KeyError, TypeError) as error:
        raise NoticeError(f"a record without {error!a}"[:_SHOWN]) from None
    removed = name.removeprefix("s3:").startswith(("ObjectRemoved:", "LifecycleExpiration:"))
    plain = unquote_plus(key) if escaped and isinstance(key, str) else key
    return Notice(_text(bucket), _text(plain), removed, _time(record.get("eventTime")))


def _from_event_bridge(message: Mapping[str, Any]) -> Notice:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html: keys are as they are."""
    try:
        detail = message["detail"]
        bucket, key = detail["bucket"]["name"], detail["object"]["key"]
    except (KeyError, TypeError) as error:
        raise NoticeError(f"an event without {error!a}"[:_SHOWN]) from None
    return Notice(_text(bucket), _text(key), message["detail-type"] == "Object Deleted", _time(message.get("time")))


def _text(name: object) -> str:
    """Return a bucket's or a key's name; NoticeError for what no server can have under that name."""
    if not isinstance(name, str):
        raise NoticeError(f"a name that is no text: {type(name).__name__}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # JSON can spell half a surrogate pair
        raise NoticeError("a name that is no UTF-8") from None
    if not 0 < size <= KEY_BYTES:
        raise NoticeError(f"a name of {size} bytes, where S3 takes 1 to {KEY_BYTES}")
    return name


def _time(text: object) -> datetime | None:
    """Return a time from which timestamp() can be taken; None for anything else."""
    try:
        when = datetime.fromisoformat(str(text))
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        when.timestamp()
    except (ValueError, OverflowError):
        return None
    return when
