"""botocore's exceptions -> bucketops_jobs.errors, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from botocore import exceptions

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    ItemError,
    NotFoundError,
    PreconditionFailedError,
    TransientError,
    UnreachableError,
    UserError,
    WorkerError,
)

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
_HTTP_NOT_FOUND, _HTTP_PRECONDITION, _HTTP_FORBIDDEN, _HTTP_SERVER = 404, 412, 403, 500
_HTTP_THROTTLED = {429, 503}


def translate(error: Exception, what: str) -> WorkerError:
    """The worker's error for a botocore one; `what` names the call and the object."""
    if isinstance(error, exceptions.ClientError):
        return _from_answer(error, what)
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        return UnreachableError(f"{what}: the endpoint cannot be reached: {error}")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return UserError(
            Reason.CREDENTIALS_MISSING, f"{what}: no credentials: name a Secret or give the pod an identity"
        )
    if isinstance(error, exceptions.SSLError):
        return UserError(Reason.ENDPOINT_UNREACHABLE, f"{what}: {error}: name the server's CA in caBundle")
    if isinstance(error, exceptions.HTTPClientError | exceptions.ResponseStreamingError):
        return TransientError(f"{what}: {error}")
    return ItemError(f"{what}: {type(error).__name__}: {error}")


def of_key(error: Mapping[str, str]) -> WorkerError:
    """The worker's error for one key of a DeleteObjects answer."""
    code = error.get("Code", "")
    text = f"delete {error.get('Key')!r}: {code} {error.get('Message', '')}".rstrip()
    if code in _TRANSIENT | _THROTTLED:
        return TransientError(text, throttled=code in _THROTTLED)
    return DeniedError(text) if code == "AccessDenied" else ItemError(text)


def _from_answer(error: exceptions.ClientError, what: str) -> WorkerError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    text = f"{what}: {code or status} {error.response.get('Error', {}).get('Message', '')}".rstrip()
    if code == "NoSuchBucket":
        return UserError(Reason.BUCKET_NOT_FOUND, f"{text}: create the bucket or mend its name")
    if code in _CREDENTIALS:
        return UserError(Reason.ACCESS_DENIED, f"{text}: mend the credentials' Secret")
    if code in _THROTTLED or status in _HTTP_THROTTLED:
        return TransientError(text, throttled=True)
    if code in _TRANSIENT or status >= _HTTP_SERVER:
        return TransientError(text)
    known = {_HTTP_NOT_FOUND: NotFoundError, _HTTP_PRECONDITION: PreconditionFailedError, _HTTP_FORBIDDEN: DeniedError}
    return known.get(status, ItemError)(text)
