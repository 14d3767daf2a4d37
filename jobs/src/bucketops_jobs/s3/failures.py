"""Errors of botocore, of connections and of answers -> bucketops_jobs.errors, in one place."""

from __future__ import annotations

import importlib
import ssl
from typing import Any

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    NotSupportedError,
    OddAnswerError,
    PreconditionFailedError,
    TransientError,
    UnreachableError,
    UserError,
    WorkerError,
)
from bucketops_jobs.s3 import misplaced
from bucketops_jobs.s3.wire import Response, error_of

_THROTTLED = {"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
_TRANSIENT = {"InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict"}
_TRANSIENT |= {"XMinioServerNotInitialized", "BadGateway", "GatewayTimeout"}
_TO_MEND = {
    "NoSuchBucket": (Reason.BUCKET_NOT_FOUND, "create the bucket or mend its name"),
    "RequestTimeTooSkewed": (Reason.CLOCK_SKEW, "set the wrong clock (NTP), the store's or this machine's"),
} | dict.fromkeys(
    ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    (Reason.ACCESS_DENIED, "mend the credentials' Secret"),
)
"""What the user has to do, by S3's code."""
_HTTP_NOT_FOUND, _HTTP_PRECONDITION, _HTTP_FORBIDDEN, _HTTP_SERVER, _HTTP_NOT_IMPLEMENTED = 404, 412, 403, 500, 501
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded"}
"""Of MinIO and Ceph."""
_NO_SPACE = "no space left on device"
"""MinIO says so in an InternalError when the disk fills up while it writes."""
_OLD_TLS = {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"}
"""Of OpenSSL, where no version is common to both."""
_HTTP_FULL = 507
"""Insufficient Storage: https://www.rfc-editor.org/rfc/rfc4918#section-11.5."""
_HTTP_MOVED, _HTTP_MOVED_FOR_NOW = {301, 302, 303, 308}, 307
_NOWHERE = "the server redirects and does not say where to: write the endpoint and the region that the bucket has"
_OTHER_REGION = {misplaced.MALFORMED, "IllegalLocationConstraintException", "PermanentRedirect"}
_HTTP_UNKNOWN = {405, _HTTP_NOT_IMPLEMENTED}
_UNKNOWN = {"NotImplemented", "MethodNotAllowed"}
_ARCHIVED = {"InvalidObjectState", "ObjectNotInActiveTierError"}
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
_HTTP_THROTTLED = {429, 503}
_KINDS = {_HTTP_NOT_FOUND: NotFoundError, _HTTP_PRECONDITION: PreconditionFailedError, _HTTP_FORBIDDEN: DeniedError}
_NO_CREDENTIALS = "no credentials: name a Secret or give the pod an identity"


def of_boto3() -> tuple[type[Exception], ...]:
    """Return what clients of boto3 raise, for an `except`: it asks only when something was raised."""
    exceptions = _botocore()
    return exceptions.ClientError, exceptions.BotoCoreError


def _botocore() -> Any:  # noqa: ANN401 - botocore has no types
    """Its exceptions; most workers have no client of boto3 (see connect.py)."""
    return importlib.import_module("botocore.exceptions")


def translate(error: Exception, what: str) -> WorkerError:
    """The worker's error for a botocore one; `what` names the call and the object."""
    exceptions = _botocore()
    if isinstance(error, exceptions.ClientError):
        answer = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
        region = str(answer.get("Region", "")) if code == misplaced.MALFORMED else ""
        return from_answer(status, code, message, what, region=region)
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        return UnreachableError(f"{what}: the endpoint cannot be reached: {error}")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return UserError(Reason.CREDENTIALS_MISSING, f"{what}: {_NO_CREDENTIALS}")
    if isinstance(error, exceptions.SSLError):
        return _untrusted(error, what)
    if isinstance(error, exceptions.HTTPClientError | exceptions.ResponseStreamingError):
        return TransientError(f"{what}: {error}")
    return ItemError(f"{what}: {type(error).__name__}: {error}")


def of_answer(answer: Response, what: str, signed_for: str = "") -> WorkerError:
    """The worker's error for a refusal of the server of a request that was signed for a region."""
    code, message = error_of(answer.body)
    named = misplaced.region(answer)
    region = named if named != signed_for and answer.status != _HTTP_FORBIDDEN else ""
    return from_answer(answer.status, code, message, what, region=region, address=misplaced.address(answer))


def of_connection(error: Exception, what: str) -> WorkerError:
    """The worker's error for a connection that could not be opened; `what` names the host, too."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return _untrusted(error, what)
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | ssl.SSLEOFError):
        return TransientError(f"{what}: {error}")
    return UnreachableError(f"{what}: the endpoint cannot be reached: {str(error) or 'no answer in time'}")


def from_answer(status: int, code: str, message: str, what: str, *, region: str = "", address: str = "") -> WorkerError:
    """The worker's error for an answer of the server; HEAD has neither code nor message.

    `region`, `address`: where the answer says that the bucket is.
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    text = f"{what}: {code or status} {message}".rstrip()
    if told := _misplaced(status, code, text, region or misplaced.expected(code, message), address):
        return told
    if told := _for_the_user(status, code, message, text):
        return told
    if code in _UNKNOWN or status in _HTTP_UNKNOWN:
        return NotSupportedError(text)
    if code in _THROTTLED or status in _HTTP_THROTTLED:
        return TransientError(text, throttled=True)
    if code in _TRANSIENT or status >= _HTTP_SERVER:
        return TransientError(text)
    return _of_one_object(status, code, text)


def _misplaced(status: int, code: str, text: str, region: str, address: str) -> WorkerError | None:
    """Of a request that went to the wrong region or host."""
    if region:
        return UserError(Reason.INVALID_SPEC, f"{text}: the bucket is in {region}: write region: {region}, or none")
    if code in _OTHER_REGION:
        return UserError(Reason.INVALID_SPEC, f"{text}: write the region of the bucket")
    if status not in {_HTTP_MOVED_FOR_NOW, *_HTTP_MOVED}:
        return None
    remedy = f"write the endpoint to which the server redirects, which is {address}" if address else _NOWHERE
    told = UserError(Reason.INVALID_SPEC, f"{text}: {remedy}")
    return OddAnswerError(text, told) if status == _HTTP_MOVED_FOR_NOW else told


def _for_the_user(status: int, code: str, message: str, text: str) -> UserError | None:
    """What every further request would be told too."""
    if code in _FULL or status == _HTTP_FULL or _NO_SPACE in message:
        return UserError(Reason.STORAGE_FULL, f"{text}: make space in the store, or raise the bucket's quota")
    reason, remedy = _TO_MEND.get(code, (None, ""))
    return UserError(reason, f"{text}: {remedy}") if reason else None


def _of_one_object(status: int, code: str, text: str) -> ItemError:
    if code in _ARCHIVED:
        return ItemError(f"{text}: it is archived: restore it, then set a new trigger")
    return DeniedError(text) if code == "AccessDenied" else _KINDS.get(status, ItemError)(text)


def _untrusted(error: Exception, what: str) -> UserError:
    if getattr(error, "reason", "") in _OLD_TLS:
        why = "the server speaks neither TLS 1.2 nor 1.3: update it, or turn one of them on there"
        return UserError(Reason.ENDPOINT_UNREACHABLE, f"{what}: {error}: {why}")
    return UserError(Reason.ENDPOINT_UNREACHABLE, f"{what}: {error}: name the server's CA in caBundle")
