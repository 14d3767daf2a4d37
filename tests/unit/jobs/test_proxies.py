"""Which proxy a connection takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.proxies import Proxy, as_botocore, bypassed, found


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("store.example", "store.example"),
        ("STORE.example", "Store.Example."),
        ("example", "store.example"),
        (".example", "store.example"),
        ("*.example", "a.store.example"),
        ("store.example:9000", "store.example"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:9000", "10.1.2.3"),
        ("fd00::/8", "fd00::1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:9000", "::1"),
        ("a, b\tstore.example", "store.example"),
        ("*", "anything"),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(entry: str, host: str) -> None:
    assert bypassed(host, 9000, entry)


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("store.example:9001", "store.example"),
        ("tore.example", "store.example"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "10.example"),
        ("0.0.0.0/0", "::1"),
        ("", "store.example"),
        (" , ,", "store.example"),
        (".", "store.example"),
    ],
)
def test_no_proxy_names_nothing_else(entry: str, host: str) -> None:
    assert not bypassed(host, 9000, entry)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_exception_and_any_host_is_judged(exceptions: str, host: str) -> None:
    assert bypassed(host, 80, exceptions) in {True, False}


def test_the_scheme_decides_and_all_proxy_holds_for_the_rest() -> None:
    environment = {"https": "http://tls:1", "all": "all:2"}
    assert found(tls=True, host="h", port=443, environment=environment) == Proxy(tls=False, host="tls", port=1)
    assert found(tls=False, host="h", port=80, environment=environment) == Proxy(tls=False, host="all", port=2)
    assert found(tls=False, host="h", port=80, environment={}) is None
    assert found(tls=False, host="h", port=80, environment={**environment, "no": "h"}) is None


def test_credentials_are_sent_and_not_shown() -> None:
    proxy = found(tls=False, host="h", port=80, environment={"http": "https://us%3Aer:p%40ss@[fd00::1]"})
    assert proxy is not None
    assert proxy.authorization == "Basic dXM6ZXI6cEBzcw=="
    assert (proxy.tls, proxy.host, proxy.port) == (True, "fd00::1", 443)
    assert as_botocore(proxy)["https"] == "https://us%3Aer:p%40ss@[fd00::1]:443"
    assert as_botocore(None) == {}
    assert "dXM6" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    "address", ["socks5://u:s3cret@h:1", "http://u:s3cret@h:port", "http://", "//s3cret:x@:1", "http://[::s3cret"]
)
def test_what_is_no_address_is_refused_by_the_variables_name_alone(address: str) -> None:
    with pytest.raises(UserError, match="HTTP_PROXY holds no address") as raised:
        found(tls=False, host="h", port=80, environment={"http": address})
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
