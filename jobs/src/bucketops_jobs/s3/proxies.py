"""Which proxy a connection takes: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as curl and Go read them. Pure.

No part of a proxy's address is told but its host and port: the rest may hold a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError

_PORTS = {"http": 80, "https": 443}
"""Of proxies whose address has none: Go's and urllib3's way (curl takes 1080)."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where connections go first."""

    tls: bool
    """Whether the proxy itself is spoken to by TLS."""
    host: str
    port: int
    user: str = field(default="", repr=False)
    """As in a URL, with the password and the `@` behind it."""
    authorization: str = field(default="", repr=False)
    """The value of the Proxy-Authorization header."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """As a URL, without its credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def found(*, tls: bool, host: str, port: int, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy for a host, or None; UserError where the variable holds no address that is understood.

    `environment`: by scheme, and `no`, as urllib.request.getproxies_environment reads the process's own.
    """
    known = _environment() if environment is None else environment
    scheme = "https" if tls else "http"
    name = scheme if known.get(scheme) else "all"
    address = known.get(name, "")
    if not address or bypassed(host, port, known.get("no", "")):
        return None
    return _parsed(address, f"{name.upper()}_PROXY")


def _environment() -> Mapping[str, str]:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from urllib.request import getproxies_environment  # noqa: PLC0415 - brings an HTTP client; few have a proxy

    return getproxies_environment()


def of_endpoint(endpoint: str) -> Proxy | None:
    """The proxy for scheme, host and port of a URL."""
    parts = urlsplit(endpoint)
    tls = parts.scheme == "https"
    return found(tls=tls, host=parts.hostname or "", port=parts.port or _PORTS["https" if tls else "http"])


def headers(proxy: Proxy) -> dict[str, str]:
    """What the proxy itself is sent."""
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}


def as_botocore(proxy: Proxy | None) -> dict[str, str]:
    """The `proxies` of botocore's Config, which would read the environment otherwise than curl and Go do."""
    if proxy is None:
        return {}
    scheme, _, rest = proxy.address.partition("://")
    return dict.fromkeys(("http", "https"), f"{scheme}://{proxy.user}{rest}")


def bypassed(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY names a host: by itself, by a domain above it, by a network of addresses, or by `*`.

    https://everything.curl.dev/usingcurl/proxies/env.html#no-proxy
    """
    return any(_names(entry.lower(), host.lower(), port) for entry in re.split(r"[,\s]+", exceptions) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if (address := _address(host)) is not None and (network := _network(entry)) is not None:
        return address.version == network.version and address in network
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        return int(number) == port and _names(name, host, port)
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host.rstrip(".") == domain or host.rstrip(".").endswith(f".{domain}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """One address is a network too; IPv6 may stand in brackets."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _parsed(address: str, variable: str) -> Proxy:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, usual = parts.hostname or "", _PORTS[parts.scheme]
        port = parts.port or usual
    except (ValueError, KeyError):
        host = ""
    if not host:
        raise UserError(
            Reason.ENDPOINT_UNREACHABLE,
            f"{variable} holds no address of a proxy that is understood: write http://HOST:PORT or https://HOST:PORT, "
            "with special characters of a password percent-encoded",
        ) from None
    user = f"{parts.netloc.rpartition('@')[0]}@" if parts.username is not None else ""
    return Proxy(parts.scheme == "https", host, port, user, _authorization(parts.username, parts.password))


def _authorization(user: str | None, password: str | None) -> str:
    """https://www.rfc-editor.org/rfc/rfc7617."""
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"
