"""Real calls as the user: each place, each call, the HTTP status that came."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore import exceptions

from bucketops_api.names import PROBE_KEY, RECORDS_FOLDER, lies_in_records
from bucketops_api.privileges.access import CALLS, Place
from bucketops_api.v1alpha1.access import Call
from bucketops_jobs.errors import StoppedError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.failures import translate

KEY = PROBE_KEY
"""Below every place; it stays where its user may not delete."""
_BODY = b"bucketops tries what this user may do\n"
_REFUSED = {"AccessDenied", "AllAccessDisabled", "Forbidden", "403"}
_NOT_YET = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"}
"""Of a key that not every server knows yet."""
UNPROVEN = 1
"""No HTTP status: a get that was refused where there is nothing to get; see _get."""
_UNKNOWN, _DENIED, _SERVER = 0, 403, 500
_PAUSE = 1.0  # seconds
_FOLDERS = 8
"""Folders of records that are passed over in search of another key."""
_BEHIND_RECORDS = RECORDS_FOLDER.removesuffix("/") + "0"
"""Sorts behind every key of such a folder: 0 comes after the slash."""

Answers = dict[Call, int]


def as_expected(place: Place, seen: Answers) -> bool:
    """Whether exactly the granted calls were let through: whatever is no refusal was, an absent key included."""
    proven = {call: status for call, status in seen.items() if status != UNPROVEN}
    return {call for call, status in proven.items() if status != _DENIED} == place.allowed & proven.keys()


def probe(s3: Any, places: Sequence[Place], patience: float, pace: Pace) -> list[Answers]:  # noqa: ANN401 - boto3
    """Try everything, again and again until all is as expected or `patience` seconds are over."""
    deadline = time.monotonic() + patience
    while True:
        seen = _attempt(s3, places)
        well = seen is not None and all(map(as_expected, places, seen))
        if well or (seen is not None and time.monotonic() > deadline):
            return seen or []
        if seen is None and time.monotonic() > deadline:
            s3.list_objects_v2(Bucket=places[0].bucket or "", MaxKeys=1)  # says in its own words why
            return [dict.fromkeys(CALLS, _UNKNOWN) for _ in places]
        if pace.stop.wait(_PAUSE):
            raise StoppedError("told to stop while the new rights spread")


def _attempt(s3: Any, places: Sequence[Place]) -> list[Answers] | None:  # noqa: ANN401 - boto3 has no types
    """One round; None while the server does not know the key."""
    found = []
    for place in places:
        answers = {call: _status(call, _CALLS[call], s3, place) for call in _ORDER}
        if _UNKNOWN in answers.values():
            return None
        found.append(answers)
    return found


def _status(name: str, call: Callable[[Any, str, str], int], s3: Any, place: Place) -> int:  # noqa: ANN401 - boto3
    """The HTTP status of a call; _UNKNOWN: the server does not know the key (yet)."""
    what = f"{name} as this user in {place.label}"
    try:
        return call(s3, place.bucket or "", place.prefix)
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _NOT_YET:
            return _UNKNOWN
        if code in _REFUSED:
            return _DENIED
        if status == _DENIED or status >= _SERVER or code == "NoSuchBucket":
            raise translate(error, what) from error
        return status
    except exceptions.BotoCoreError as error:
        raise translate(error, what) from error


def _list(s3: Any, bucket: str, prefix: str) -> int:  # noqa: ANN401 - boto3 has no types
    return _code(s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1))


def _get(s3: Any, bucket: str, prefix: str) -> int:  # noqa: ANN401 - boto3 has no types
    """Get an object that is there.

    Of an absent key AWS says 403 to who may list a part of the bucket alone, which proves nothing:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    key, empty = _some_key(s3, bucket, prefix)
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
    except exceptions.ClientError as error:
        if empty and error.response["Error"]["Code"] in _REFUSED:
            return UNPROVEN
        raise
    answer["Body"].close()
    return _code(answer)


def _some_key(s3: Any, bucket: str, prefix: str) -> tuple[str, bool]:  # noqa: ANN401 - boto3 has no types
    """The first key that is no record; the scratch key where none is shown, and whether none is there to be shown."""
    try:
        found = _first_key(s3, bucket, prefix)
    except exceptions.ClientError:
        return prefix + KEY, False
    return found or prefix + KEY, not found


def _first_key(s3: Any, bucket: str, prefix: str) -> str:  # noqa: ANN401 - boto3 has no types
    """The first key, behind folders of records unless the prefix lies in one: those are listed, and denied.

    Empty where none is shown, or where folder after folder is one of records.
    """
    after = ""
    for _ in range(_FOLDERS):
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1, StartAfter=after).get("Contents", [])
        key = str(found[0]["Key"]) if found else ""
        if not lies_in_records(key) or lies_in_records(prefix):
            return key
        after = key[: f"/{key}".index(f"/{RECORDS_FOLDER}")] + _BEHIND_RECORDS
    return ""


def _put(s3: Any, bucket: str, prefix: str) -> int:  # noqa: ANN401 - boto3 has no types
    """Never over anything: where the key exists, 412 says that the put itself was allowed."""
    return _code(s3.put_object(Bucket=bucket, Key=prefix + KEY, Body=_BODY, IfNoneMatch="*"))


def _delete(s3: Any, bucket: str, prefix: str) -> int:  # noqa: ANN401 - boto3 has no types
    return _code(s3.delete_object(Bucket=bucket, Key=prefix + KEY))


def _multipart(s3: Any, bucket: str, prefix: str) -> int:  # noqa: ANN401 - boto3 has no types
    """Begin, one part, abort: nothing stays."""
    where = {"Bucket": bucket, "Key": prefix + KEY}
    begun = s3.create_multipart_upload(**where)
    upload = {"UploadId": begun["UploadId"]}
    try:
        s3.upload_part(**where, **upload, PartNumber=1, Body=_BODY)
    finally:
        ended = s3.abort_multipart_upload(**where, **upload)
    return _code(ended)


def _code(answer: Any) -> int:  # noqa: ANN401 - boto3 has no types
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


_CALLS: dict[Call, Callable[[Any, str, str], int]] = {
    "list": _list,
    "get": _get,
    "put": _put,
    "delete": _delete,
    "multipart": _multipart,
}
_ORDER: tuple[Call, ...] = ("list", "put", "get", "delete", "multipart")
"""Something is put before it is got, and what was put is deleted."""
