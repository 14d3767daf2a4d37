"""Who calls and how it is proved: Secrets, session tokens, roles, web identity, and servers with a CA of their own."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import UserError
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import boto
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.store import Store
from support import certificates, kubelet
from support.avatars import s3_client
from support.identities import Identity, store_rights, store_user
from support.proxy import Answer, Proxy, Request
from support.servers import ADMIN, PASSWORD, start_minio

PAGE = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"


@contextmanager
def opened(root: Path, endpoint: str, bucket: str = "pictures", **changes: Any) -> Iterator[Store]:
    ref = BucketRef.model_validate({"bucket": bucket, "endpoint": endpoint, **changes})
    store = connect(ref, root, Pace(4, None, threading.Event()))
    try:
        yield store
    finally:
        store.close()


def mount(root: Path, name: str, **content: str) -> None:
    folder = root / "secrets" / name
    folder.mkdir(parents=True)
    for key, value in content.items():
        (folder / key).write_text(value)


class Recorder:
    """Answers every call with an empty page and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(200, PAGE)

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.requests[-1].headers.items()}


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, str]]:
    recorder = Recorder()
    with Proxy("http://127.0.0.1:1", recorder) as proxy:
        yield recorder, proxy.url


def test_a_session_token_of_the_secret_is_sent(tmp_path: Path, recorder: tuple[Recorder, str]) -> None:
    seen, url = recorder
    mount(tmp_path, "temporary", AWS_ACCESS_KEY_ID="ASIA1", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="token-1")
    with opened(tmp_path, url, credentials={"secretRef": {"name": "temporary"}}, requestPayer=True) as store:
        assert list(store.list_objects("")) == []
    assert seen.headers["x-amz-security-token"] == "token-1"
    assert "Credential=ASIA1/" in seen.headers["authorization"]
    assert seen.headers["x-amz-request-payer"] == "requester"


def replace_secret(root: Path, name: str, **content: str) -> None:
    kubelet.update(root / "secrets" / name, content)


def signer(headers: dict[str, str]) -> str:
    return headers["authorization"].split("Credential=")[1].split("/")[0]


def test_a_secret_that_changes_signs_the_next_request(tmp_path: Path, recorder: tuple[Recorder, str]) -> None:
    seen, url = recorder
    replace_secret(tmp_path, "s", AWS_ACCESS_KEY_ID="old", AWS_SECRET_ACCESS_KEY="k", AWS_SESSION_TOKEN="t")
    with opened(tmp_path, url, credentials={"secretRef": {"name": "s"}}) as store:
        list(store.list_objects(""))
        assert (signer(seen.headers), seen.headers["x-amz-security-token"]) == ("old", "t")
        replace_secret(tmp_path, "s", AWS_ACCESS_KEY_ID="new", AWS_SECRET_ACCESS_KEY="k")
        list(store.list_objects(""))
        assert signer(seen.headers) == "new"
        store.versioning()  # boto3's
        assert signer(seen.headers) == "new"


@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_of_a_key_that_was_replaced_meanwhile_is_no_refusal(tmp_path: Path, status: int) -> None:
    """A HEAD is refused without a word, so the status alone has to tell."""
    replace_secret(tmp_path, "s", AWS_ACCESS_KEY_ID="old", AWS_SECRET_ACCESS_KEY="k")

    def rule(request: Request) -> Answer:
        if signer({name.lower(): value for name, value in request.headers.items()}) == "new":
            return Answer(404)
        replace_secret(tmp_path, "s", AWS_ACCESS_KEY_ID="new", AWS_SECRET_ACCESS_KEY="k")
        return Answer(status)

    who = {"credentials": {"secretRef": {"name": "s"}}}
    with Proxy("http://127.0.0.1:1", rule) as proxy, opened(tmp_path, proxy.url, **who) as store:
        assert store.head("k") is None


def test_a_key_that_is_refused_and_not_replaced_is_named(tmp_path: Path) -> None:
    mount(tmp_path, "s", AWS_ACCESS_KEY_ID="old", AWS_SECRET_ACCESS_KEY="k")
    body = b"<Error><Code>ExpiredToken</Code><Message>it has expired</Message></Error>"
    with Proxy("http://127.0.0.1:1", lambda _: Answer(400, body)) as proxy:
        who = {"credentials": {"secretRef": {"name": "s"}}}
        with (
            opened(tmp_path, proxy.url, **who) as store,
            pytest.raises(UserError, match="mend the credentials' Secret"),
        ):
            list(store.list_objects(""))


def test_credentials_that_expire_are_asked_for_again(
    tmp_path: Path, recorder: tuple[Recorder, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore hands out new ones before the old ones expire; each request is signed with what holds then."""
    seen, url = recorder
    given = iter(range(1, 100))

    def issued() -> dict[str, str]:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        return {"access_key": f"ASIA{next(given)}", "secret_key": "s", "token": "t", "expiry_time": soon.isoformat()}

    class Session:
        region_name = "eu-west-1"

        def get_credentials(self) -> RefreshableCredentials:
            return RefreshableCredentials.create_from_metadata(issued(), issued, "test")

    monkeypatch.setattr(boto, "session", lambda *_: Session())
    with opened(tmp_path, url) as store:
        for _ in range(3):
            list(store.list_objects(""))
    signed = [{name.lower(): value for name, value in request.headers.items()} for request in seen.requests]
    keys = [headers["authorization"].split("Credential=")[1].split("/")[0] for headers in signed]
    assert len(set(keys)) == 3


def test_a_role_is_taken_on_with_the_identity_of_the_secret(
    tmp_path: Path, moto: str, recorder: tuple[Recorder, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, url = recorder
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
    mount(tmp_path, "first", AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY="s")
    role = {"roleArn": "arn:aws:iam::123456789012:role/mover", "externalId": "e1"}
    with opened(tmp_path, url, credentials={"secretRef": {"name": "first"}}, assumeRole=role) as store:
        list(store.list_objects(""))
    assert "Credential=ASIA" in seen.headers["authorization"]
    assert seen.headers["x-amz-security-token"]


def test_a_pod_with_a_web_identity_needs_no_secret(
    tmp_path: Path, moto: str, recorder: tuple[Recorder, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """IRSA: a token file and a role in the environment. https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html."""
    seen, url = recorder
    token = tmp_path / "token"
    token.write_text("web-token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
    with opened(tmp_path, url, region="eu-west-1") as store:
        list(store.list_objects(""))
    assert "Credential=ASIA" in seen.headers["authorization"]
    assert "/eu-west-1/s3/" in seen.headers["authorization"]


def test_no_identity_at_all_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError) as refused, opened(tmp_path, "http://127.0.0.1:1"):
        pass
    assert refused.value.reason is Reason.CREDENTIALS_MISSING


def test_a_server_with_a_ca_of_its_own_is_trusted_by_its_bundle_alone(tmp_path: Path) -> None:
    ca = certificates.make(tmp_path / "certificates")
    server = start_minio(tmp_path, certificates=tmp_path / "certificates")
    try:
        endpoint, bucket = f"https://127.0.0.1:{server.port}", f"tls-{secrets.token_hex(4)}"
        s3_client(endpoint, ADMIN, PASSWORD, verify=str(ca)).create_bucket(Bucket=bucket)
        rights = store_rights(BucketRef(bucket=bucket, endpoint=endpoint))
        mount(tmp_path, "user", **store_user(endpoint, Identity(ADMIN, PASSWORD), rights, ca).secret())
        mount(tmp_path, "ca", **{"ca.crt": ca.read_text()})
        who = {"credentials": {"secretRef": {"name": "user"}}}
        bundle = {"caBundle": {"secretRef": {"name": "ca", "key": "ca.crt"}}}
        with opened(tmp_path, endpoint, bucket, **who, **bundle) as store:
            store.put("k", json.dumps({}).encode(), {})
            assert [entry.key for entry in store.list_objects("")] == ["k"]
            assert store.versioning() == "Off"
        with opened(tmp_path, endpoint, bucket, **who) as store, pytest.raises(UserError, match="caBundle"):
            store.put("other", b"", {})
    finally:
        server.stop()
