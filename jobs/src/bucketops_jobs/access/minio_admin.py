"""MinIO's admin API with our errors: the `minio` package's client, and the one call that it lacks."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.crypto import decrypt, encrypt
from minio.error import MinioAdminException
from minio.minioadmin import _COMMAND

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import Admin
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.errors import TransientError, UserError
from bucketops_jobs.s3 import bounded, proxies
from bucketops_jobs.s3.http import ANSWER_SECONDS, CONNECT_SECONDS
from bucketops_jobs.s3.identity import ca_file

T = TypeVar("T")
_STATUS = re.compile(r"Status: (\d+)")
_LATER = {"408", "425", "429"}
"""Refusals that mean: not now. Any other is the same the next time."""
_CODE, _MESSAGE = re.compile(r'"Code":"(\w+)"'), re.compile(r'"Message":"([^"]*)"')
_ABSENT = {"XMinioAdminNoSuchUser", "XMinioAdminNoSuchPolicy", "XMinioInvalidIAMCredentials", "XMinioAdminNoSuchGroup"}
_NO_CHANGE = {"XMinioAdminPolicyChangeAlreadyApplied"}
_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
_ATTEMPTS, _PAUSE = 4, 0.2
"""Times that a call is tried; seconds after the first."""
_BUSY = {500, 502, 503, 504}
_FRAMING = {"content-length", "content-encoding", "transfer-encoding"}
"""Headers of a body as it came over the wire."""


class AdminClient(MinioAdmin):
    """MinioAdmin that can make a key for somebody else, as `mc admin accesskey create ALIAS USER` does.

    Without that, a key is made by logging in as its user, whose password we do not have and will not change.
    """

    def add_key(self, user: str, pair: Pair, name: str, description: str) -> None:
        """Make an access key (MinIO's service account) of a user; it may what the user may."""
        account = {"targetUser": user, "accessKey": pair.id, "secretKey": pair.secret}
        body = json.dumps(account | {"name": name, "description": description}).encode()
        secret = self._provider.retrieve().secret_key
        answer = self._url_open(
            method="PUT", command=_COMMAND.SERVICE_ACCOUNT_ADD, body=encrypt(body, secret), preload_content=False
        )
        decrypt(answer, secret)

    @property
    def key_id(self) -> str:
        """The access key that this client signs with."""
        return str(self._provider.retrieve().access_key)

    def as_somebody(self, pair: Pair) -> AdminClient:
        """The same server, as the holder of a key."""
        return AdminClient(
            endpoint=self._url.netloc,
            credentials=StaticProvider(pair.id, pair.secret),
            region=self._region,
            secure=self._secure,
            http_client=self._http,
        )


def connect(admin: Admin, root: Path, pair: Pair) -> AdminClient:
    """The client of an admin."""
    parts = urlsplit(admin.endpoint or "")
    authorities = str(ca_file(admin.ca_bundle, root)) if admin.ca_bundle else certifi.where()
    proxy = proxies.of_endpoint(admin.endpoint or "")
    make = partial(_through, proxy) if proxy else _Bounded
    pool = make(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
        retries=urllib3.Retry(total=_ATTEMPTS, backoff_factor=_PAUSE),
        ca_certs=authorities,
    )
    return AdminClient(
        endpoint=parts.netloc,
        credentials=StaticProvider(pair.id, pair.secret),
        region=admin.region or "",
        secure=parts.scheme == "https",
        http_client=pool,
    )


def _through(proxy: proxies.Proxy, **options: Any) -> urllib3.PoolManager:  # noqa: ANN401 - of urllib3
    return _BoundedByProxy(proxy.address, proxy_headers=proxies.headers(proxy), **options)


class _Bounded(urllib3.PoolManager):
    """Connections whose answers end, in bytes and in time; a busy server is asked again."""

    def urlopen(self, method: str, url: str, **options: Any) -> Any:  # type: ignore[override]  # noqa: ANN401 - of urllib3
        """Of urllib3."""
        for attempt in range(_ATTEMPTS):
            answer = self._read(method, url, **options)
            if answer.status not in _BUSY:
                break
            time.sleep(_PAUSE * 2**attempt)
        return answer

    def _read(self, method: str, url: str, *, preload_content: bool = True, **options: Any) -> Any:  # noqa: ANN401 - as above
        """An answer whose body has come, whether the caller wants to read it as a stream or not."""
        came: Any = super().urlopen(method, url, redirect=False, preload_content=False, **options)
        kept = {name: value for name, value in came.headers.items() if name.lower() not in _FRAMING}
        return urllib3.HTTPResponse(
            io.BytesIO(bounded.body(came)), kept, came.status, reason=came.reason, preload_content=preload_content
        )


class _BoundedByProxy(_Bounded, urllib3.ProxyManager):  # type: ignore[misc]  # of the arguments of urlopen
    """Bounded connections that go through a proxy."""


def call(what: str, function: Callable[[], T]) -> T | None:
    """One call; None where what it is about does not exist, or where it would change nothing."""
    try:
        return function()
    except MinioAdminException as error:
        text = str(error)
        code = _found(_CODE, text)
        if code in _ABSENT | _NO_CHANGE:
            return None
        told = f"{what}: {code or 'refused'} {_found(_MESSAGE, text)}".rstrip()
        raise _translated(code, _found(_STATUS, text), told) from None
    except urllib3.exceptions.HTTPError as error:
        raise UserError(
            Reason.ENDPOINT_UNREACHABLE, f"{what}: nobody answers: {error}; mend admin.endpoint, or start the server"
        ) from error


def read(what: str, function: Callable[[], str]) -> Any:  # noqa: ANN401 - JSON
    """One call's JSON; None where what it is about does not exist."""
    text = call(what, function)
    return None if text is None else json.loads(text)


def _translated(code: str, status: str, text: str) -> Exception:
    if code in _CREDENTIALS:
        return UserError(Reason.ACCESS_DENIED, f"{text}: mend the Secret of admin.credentials")
    if code == "AccessDenied":
        return UserError(
            Reason.ACCESS_DENIED,
            f"{text}: this admin may not do that; `bucketops policy S3Access -f FILE` prints the rights it needs",
        )
    if code.startswith("XMinio") or (status.startswith("4") and status not in _LATER):
        return UserError(Reason.REFUSED, text)
    return TransientError(text)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
