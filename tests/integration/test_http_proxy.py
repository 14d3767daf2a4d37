"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold for every request to a store."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import Admin
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.access import minio_admin
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.errors import TransientError, UnreachableError, UserError
from bucketops_jobs.pipeline import hear_minio
from bucketops_jobs.s3.client import S3Store
from support import certificates
from support.avatars import s3_client
from support.forward_proxy import ForwardProxy
from support.servers import ADMIN, PASSWORD, start_minio
from support.stores import opened

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def bucket_at(endpoint: str, **options: Any) -> str:
    name = f"proxied-{secrets.token_hex(4)}"
    s3_client(endpoint, ADMIN, PASSWORD, **options).create_bucket(Bucket=name)
    return name


def works(store: S3Store) -> None:
    """Small and large, by our own connections and by boto3's."""
    for size in (3, 2 * MIB):
        data = secrets.token_bytes(size)
        store.put("k", data, {"x-amz-meta-a": "b"})
        with store.get("k").body as body:
            assert body.read() == data
    assert [entry.key for entry in store.list_objects("")] == ["k"]
    assert store.versioning() == "Off"


def test_a_plain_request_goes_through_the_proxy(tmp_path: Path, minio: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = bucket_at(minio)
    with ForwardProxy("user:p@ss") as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{proxy.host}")
        with opened(tmp_path, minio, bucket=bucket) as store:
            works(store)
    assert proxy.heads
    assert all(head.split(" ")[1].startswith(minio) for head in proxy.heads)


def test_requests_by_tls_go_through_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = certificates.make(tmp_path / "certificates")
    server = start_minio(tmp_path, certificates=tmp_path / "certificates")
    try:
        endpoint = f"https://127.0.0.1:{server.port}"
        bucket = bucket_at(endpoint, verify=str(ca))
        (tmp_path / "secrets" / "ca").mkdir(parents=True)
        (tmp_path / "secrets" / "ca" / "ca.crt").write_text(ca.read_text())
        bundle = {"caBundle": {"secretRef": {"name": "ca", "key": "ca.crt"}}}
        with ForwardProxy("user:p@ss") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@{proxy.host}")
            with opened(tmp_path, endpoint, bucket=bucket, **bundle) as store:
                works(store)
        assert proxy.heads
        assert all(head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.") for head in proxy.heads)
    finally:
        server.stop()


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "10.0.0.0/8, 127.0.0.0/8", "127.0.0.1:{port}"])
def test_what_no_proxy_names_is_asked_directly(
    tmp_path: Path, minio: str, monkeypatch: pytest.MonkeyPatch, exception: str
) -> None:
    bucket = bucket_at(minio)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", exception.format(port=minio.rpartition(":")[2]))
    with opened(tmp_path, minio, bucket=bucket) as store:
        works(store)


@pytest.mark.parametrize("endpoint", ["http://store.example", "https://store.example"])
def test_a_proxy_that_asks_for_a_password_is_named_and_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    with ForwardProxy("user:right") as proxy:
        monkeypatch.setenv("all_proxy", f"http://user:wr0ng@{proxy.host}")
        named = f"the proxy {proxy.host} asks for a password (407)"
        with opened(tmp_path, endpoint, bucket="bucket", region="r") as store, pytest.raises(UserError) as raised:
            store.head("k")
    assert raised.value.reason is Reason.ENDPOINT_UNREACHABLE
    assert named in str(raised.value)
    assert "wr0ng" not in str(raised.value)


def test_a_proxy_that_opens_no_tunnel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bucketops_jobs.retries.ATTEMPTS", 1)
    with ForwardProxy(refusal=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:s3cret@{proxy.host}")
        with (
            opened(tmp_path, "https://store.example", bucket="bucket", region="r") as store,
            pytest.raises(UnreachableError, match=r"the proxy 127.0.0.1:\d+ answers CONNECT with 403") as raised,
        ):
            store.head("k")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "noise", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 2\r\n\r\n", b"x" * (1 << 20), b"HTTP/1.1 200 OK\r\n\r\nand more"]
)
def test_a_proxy_that_speaks_no_http_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: bytes) -> None:
    monkeypatch.setattr("bucketops_jobs.retries.ATTEMPTS", 1)
    monkeypatch.setattr("bucketops_jobs.s3.http.CONNECT_SECONDS", 1.0)
    with ForwardProxy(refusal=noise) as proxy:
        monkeypatch.setenv("https_proxy", proxy.host)
        with (
            opened(tmp_path, "https://store.example", bucket="bucket", region="r") as store,
            pytest.raises((TransientError, UserError), match="head 'k'"),
        ):
            store.head("k")


def test_an_address_of_a_proxy_that_is_none_is_refused_without_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "socks5://user:s3cret@proxy:1080")
    with (
        pytest.raises(UserError, match="HTTP_PROXY holds no address") as raised,
        opened(tmp_path, "http://store.example", bucket="bucket", region="r"),
    ):
        pass
    assert "s3cret" not in str(raised.value)


def test_minios_admin_api_goes_through_the_proxy(tmp_path: Path, minio: str, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Admin.model_validate({"endpoint": minio, "credentials": {"secretRef": {"name": "admin"}}})
    with ForwardProxy("user:p@ss") as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{proxy.host}")
        assert minio_admin.connect(admin, tmp_path, Pair(ADMIN, PASSWORD)).info()
    assert proxy.heads


def test_minios_events_come_through_a_tunnel(minio: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk: Any = SimpleNamespace(context=SimpleNamespace(spec=SimpleNamespace(source=BucketRef(bucket="bucket"))))
    with ForwardProxy("user:p@ss") as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{proxy.host}")
        connection = hear_minio._connection(desk, f"{minio}/bucket")  # noqa: SLF001 - how it is opened is the matter
        connection.request("GET", "/minio/health/ready")
        assert connection.getresponse().status == 200
        connection.close()
    assert proxy.heads[0].startswith(f"CONNECT {minio.removeprefix('http://')} HTTP/1.")
