"""Errors of botocore and awscrt -> bucketops_jobs.errors, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from awscrt.exceptions import AwsCrtError
from awscrt.s3 import S3ResponseError
from botocore import exceptions

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    NotSupportedError,
    PreconditionFailedError,
    TransientError,
    UnreachableError,
    UserError,
    WorkerError,
)
from bucketops_jobs.s3.wire import error_of

_THROTTLED = {"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
_TRANSIENT = {"InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict"}
_TRANSIENT |= {"XMinioServerNotInitialized", "BadGateway", "GatewayTimeout"}
_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
}
_HTTP_NOT_FOUND, _HTTP_PRECONDITION, _HTTP_FORBIDDEN, _HTTP_SERVER, _HTTP_NOT_IMPLEMENTED = 404, 412, 403, 500, 501
_HTTP_UNKNOWN = {405, _HTTP_NOT_IMPLEMENTED}
_UNKNOWN = {"NotImplemented", "MethodNotAllowed"}
_ARCHIVED = {"InvalidObjectState", "ObjectNotInActiveTierError"}
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
_HTTP_THROTTLED = {429, 503}
_KINDS = {_HTTP_NOT_FOUND: NotFoundError, _HTTP_PRECONDITION: PreconditionFailedError, _HTTP_FORBIDDEN: DeniedError}
_NOBODY = (
    "AWS_IO_SOCKET_CONNECTION_REFUSED",
    "AWS_IO_SOCKET_TIMEOUT",
    "AWS_IO_SOCKET_NO_ROUTE_TO_HOST",
    "AWS_IO_SOCKET_NETWORK_DOWN",
    "AWS_IO_DNS_",
)
"""awscrt's names of errors that mean: nobody answers at the endpoint."""
_SLOW_DOWN = "AWS_ERROR_S3_SLOW_DOWN"
"""What awscrt makes of a 503."""
_IDENTITY = ("AWS_AUTH_CREDENTIALS_PROVIDER_", "AWS_AUTH_SIGNING_NO_CREDENTIALS")
_NO_CREDENTIALS = "no credentials: name a Secret or give the pod an identity"


def translate(error: Exception, what: str) -> WorkerError:
    """The worker's error for a botocore one; `what` names the call and the object."""
    if isinstance(error, exceptions.ClientError):
        answer = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return from_answer(status, str(answer.get("Code", "")), str(answer.get("Message", "")), what)
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        return UnreachableError(f"{what}: the endpoint cannot be reached: {error}")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return UserError(Reason.CREDENTIALS_MISSING, f"{what}: {_NO_CREDENTIALS}")
    if isinstance(error, exceptions.SSLError):
        return _untrusted(error, what)
    if isinstance(error, exceptions.HTTPClientError | exceptions.ResponseStreamingError):
        return TransientError(f"{what}: {error}")
    return ItemError(f"{what}: {type(error).__name__}: {error}")


def from_crt(error: BaseException, what: str, host: str) -> WorkerError:
    """The worker's error for one of awscrt's, which names no host."""
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, S3ResponseError):
        return from_answer(int(error.status_code or 0), *error_of(error.body or b""), what)
    if isinstance(error, AwsCrtError):
        return _from_connection(error, str(error.name), f"{what}, at {host}")
    return ItemError(f"{what}: {type(error).__name__}: {error}")


def _from_connection(error: Any, name: str, what: str) -> WorkerError:  # noqa: ANN401 - awscrt has no types
    """Awscrt's errors that no answer of the server explains, by their names."""
    if name.startswith(_NOBODY):
        return UnreachableError(f"{what}: the endpoint cannot be reached: {error.message} ({name})")
    if name.startswith(_IDENTITY):
        return UserError(Reason.CREDENTIALS_MISSING, f"{what}: {_NO_CREDENTIALS} ({name})")
    if name.startswith("AWS_IO_TLS_"):
        return _untrusted(error, what)
    if name == _SLOW_DOWN:
        return TransientError(f"{what}: SlowDown {error.message}", throttled=True)
    return TransientError(f"{what}: {error.message} ({name})")


def from_answer(status: int, code: str, message: str, what: str) -> WorkerError:
    """The worker's error for an answer of the server; HEAD has neither code nor message.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    text = f"{what}: {code or status} {message}".rstrip()
    if code == "NoSuchBucket":
        return UserError(Reason.BUCKET_NOT_FOUND, f"{text}: create the bucket or mend its name")
    if code in _CREDENTIALS:
        return UserError(Reason.ACCESS_DENIED, f"{text}: mend the credentials' Secret")
    if code in _UNKNOWN or status in _HTTP_UNKNOWN:
        return NotSupportedError(text)
    if code in _THROTTLED or status in _HTTP_THROTTLED:
        return TransientError(text, throttled=True)
    if code in _TRANSIENT or status >= _HTTP_SERVER:
        return TransientError(text)
    return _of_one_object(status, code, text)


def _of_one_object(status: int, code: str, text: str) -> ItemError:
    if code in _ARCHIVED:
        return ItemError(f"{text}: it is archived: restore it, then set a new trigger")
    return DeniedError(text) if code == "AccessDenied" else _KINDS.get(status, ItemError)(text)


def of_key(error: Mapping[str, str]) -> WorkerError:
    """The worker's error for one key of a DeleteObjects answer."""
    return from_answer(0, error.get("Code", ""), error.get("Message", ""), f"delete {error.get('Key')!r}")


def _untrusted(error: Exception, what: str) -> UserError:
    return UserError(Reason.ENDPOINT_UNREACHABLE, f"{what}: {error}: name the server's CA in caBundle")
