"""boto3, for what is rare: other identities than a mounted Secret, the control plane, large bodies.

It takes a quarter of a second to import and a tenth to read its models, so only who needs it imports this file.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import urllib3
from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials, RefreshableCredentials

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import ASK, ItemError, OddAnswerError, UserError
from bucketops_jobs.s3 import bounded, failures, identity, proxies
from bucketops_jobs.s3.http import ANSWER_SECONDS, CONNECT_SECONDS
from bucketops_jobs.s3.signing import Credentials, Identity

_REFUSED = 300
"""Statuses from here on are no success."""
MOST_PAGES = 100
"""Of one list about one user of IAM, of which AWS has a page or two."""
_SOON = timedelta(minutes=1)
"""Less than the ten minutes before the end at which botocore insists on new credentials."""


def session(ref: BucketRef, root: Path) -> boto3.session.Session:
    """The caller of a bucket; UserError names the Secret or key that is missing."""
    made, own = _session(ref)
    mounted = identity.mounted(ref, root)
    if mounted:
        _hand_in(own, "secret", partial(_held, mounted))
    if ref.assume_role:
        _assume(own, ref)
    return made


def session_as(ref: BucketRef, access_key: str, secret_key: str) -> boto3.session.Session:
    """Somebody else, whose key stands in no mounted Secret; a role is not taken on."""
    made, _ = _session(ref, access_key, secret_key)
    return made


def endpoint(ref: BucketRef, region: str) -> str:
    """Scheme and host of S3 in a region as AWS's own rules have them: FIPS, dual stack, partitions, the environment.

    `meta.endpoint_url` of a client is not that: the rules are asked per request.
    """
    made = boto3.session.Session(region_name=region, botocore_session=_own())
    config = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"})
    url = made.client("s3", config=config).generate_presigned_url("head_bucket", Params={"Bucket": ref.bucket})
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def control(caller: boto3.session.Session, ref: BucketRef, root: Path) -> Any:  # noqa: ANN401 - boto3 has no types
    """The boto3 client of a bucket, for rare calls."""
    verify = str(identity.ca_file(ref.ca_bundle, root)) if ref.ca_bundle else None
    return caller.client("s3", endpoint_url=ref.endpoint, verify=verify, config=_config(ref, str(caller.region_name)))


def _config(ref: BucketRef, region: str) -> Config:
    return Config(
        proxies=proxies.as_botocore(proxies.of_endpoint(ref.endpoint or f"https://s3.{region}.amazonaws.com")),
        tcp_keepalive=True,
        signature_version="s3v4",
        retries={"total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": _addressing(ref)},
    )


def _addressing(ref: BucketRef) -> str:
    if ref.addressing_style != "auto":
        return ref.addressing_style
    return "path" if ref.endpoint else "auto"


def _session(ref: BucketRef, *keys: str) -> tuple[boto3.session.Session, botocore.session.Session]:
    own = _own()
    region = ref.region or own.get_config_variable("region") or "us-east-1"
    return boto3.session.Session(*keys, region_name=region, botocore_session=own), own


def _own() -> botocore.session.Session:
    """A session of its own; the service models are read once per process."""
    own = botocore.session.Session()
    own.register_component("data_loader", _models())
    own.register("creating-client-class", _bound)
    return own


def _bound(base_classes: list[type], **_: object) -> None:
    """Every client of ours reads answers up to a bound."""
    base_classes.insert(0, _BoundedClient)


class _BoundedClient:
    """What a client is beside its calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - botocore has no types
        super().__init__(*args, **kwargs)
        endpoint: Any = self._endpoint  # type: ignore[attr-defined]  # of botocore.client.BaseClient
        endpoint.http_session = _Bounded(endpoint.http_session)


class _Bounded:
    """A botocore HTTP session whose answers end: in bytes and in time; headers are bounded by http.client."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - botocore has no types
        self._session = session

    def send(self, request: Any) -> Any:  # noqa: ANN401 - as above
        """Of botocore, which reads all that comes unless it is told that somebody else will."""
        whole, request.stream_output = not request.stream_output, True
        answer = self._session.send(request)
        if whole or answer.status_code >= _REFUSED:  # botocore reads the whole refusal of a GET, too
            answer._content = _whole(answer.raw)  # noqa: SLF001 - where AWSResponse.content looks first
        return answer

    def close(self) -> None:
        """Of botocore."""
        self._session.close()


def _whole(raw: Any) -> bytes:  # noqa: ANN401 - urllib3's response
    """A body up to a bound; HTTPClientError, which is a TransientError then."""
    try:
        return bounded.body(raw)
    except urllib3.exceptions.HTTPError as error:
        raise exceptions.HTTPClientError(error=error) from error


def pages(client: Any, operation: str, field: str, **arguments: object) -> list[Any]:  # noqa: ANN401 - as above
    """Return all items of a paginated list; OddAnswerError where it does not end: botocore goes round in circles."""
    shown = list(itertools.islice(client.get_paginator(operation).paginate(**arguments), MOST_PAGES + 1))
    if len(shown) > MOST_PAGES:
        raise OddAnswerError(f"{operation}: the list does not end after {MOST_PAGES} pages: {ASK}")
    return [item for page in shown for item in page[field]]


def provider(caller: boto3.session.Session, bucket: str) -> Identity:
    """The same identity for requests that are signed here; asked anew for each where it expires."""
    found = caller.get_credentials()
    if found is None:
        raise UserError(
            Reason.CREDENTIALS_MISSING, f"bucket {bucket}: no credentials: name a Secret or give the pod an identity"
        )
    if isinstance(found, RefreshableCredentials):
        return partial(_refreshed, found, bucket)
    return partial(Credentials, *_three(found))


def _refreshed(found: RefreshableCredentials, bucket: str) -> Credentials:
    try:
        return Credentials(*_three(found))
    except (exceptions.ClientError, exceptions.BotoCoreError) as error:
        told = failures.translate(error, f"credentials for bucket {bucket}")
        raise UserError(Reason.ACCESS_DENIED, str(told)) if isinstance(told, ItemError) else told from error


def _three(found: Any) -> tuple[str, str, str]:  # noqa: ANN401 - botocore has no types
    access_key, secret_key, token = found.get_frozen_credentials()[:3]
    MASK.learn({names.SECRET_KEY: secret_key, names.SESSION_TOKEN: token or ""})
    return access_key, secret_key, token or ""


@cache
def _models() -> Any:  # noqa: ANN401 - boto3 has no types
    """The service models, read once per process: a session of its own is needed, for it keeps credentials."""
    return botocore.session.Session().get_component("data_loader")


def _assume(own: botocore.session.Session, ref: BucketRef) -> None:
    """Take on the role by STS with the session's own identity, again before it expires.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    role = ref.assume_role
    if role is None:
        return
    extra = {"RoleSessionName": names.MANAGER} | ({"ExternalId": role.external_id} if role.external_id else {})
    fetcher = AssumeRoleCredentialFetcher(own.create_client, own.get_credentials(), role.role_arn, extra_args=extra)
    _hand_in(own, "assume-role", fetcher.fetch_credentials)


def _hand_in(own: botocore.session.Session, method: str, fetch: Callable[[], Mapping[str, str]]) -> None:
    own._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore's only way to hand in credentials
        method=method, refresh_using=fetch
    )


def _held(mounted: identity.Mounted) -> Mapping[str, str]:
    """What a Secret holds now; botocore asks again each time, since all that ends so soon is about to expire."""
    who, soon = mounted(), datetime.now(UTC) + _SOON
    keys = {"access_key": who.access_key, "secret_key": who.secret_key, "token": who.token}
    return {**keys, "expiry_time": soon.isoformat()}
