"""Sockets of small servers (metrics, probes), on both IP versions."""

from __future__ import annotations

import socket

_BACKLOG = 64


def everywhere() -> str:
    """The address on which a server of both IP versions listens: `::`, or 0.0.0.0 where the kernel has no IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            tried.bind(("::", 0))
    except OSError:
        return "0.0.0.0"
    return "::"


def bind(port: int, address: str = "") -> socket.socket:
    """Return a socket that listens on this port; OSError if it is taken. No address: on all."""
    address = address or everywhere()
    of_both = ":" in address
    family = socket.AF_INET6 if of_both else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=_BACKLOG, dualstack_ipv6=of_both)
