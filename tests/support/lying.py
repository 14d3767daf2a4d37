"""A proxy or a gateway that answers an object's bytes otherwise than they are, each time alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.proxy import Request

How = Callable[[bytes], bytes]


def another_byte(data: bytes) -> bytes:
    """A byte in the middle is another one: as long as before."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def cut_off(data: bytes) -> bytes:
    """As a truncating gateway answers: fewer bytes, and a length that says so."""
    return data[: len(data) // 2]


def longer(data: bytes) -> bytes:
    """Something stands behind it."""
    return data + b"\n"


@dataclass
class Lying:
    """For a proxy: what GETs of one key bring; headers, ETag, HEADs and listings stay as they are."""

    key: str
    how: How = another_byte
    times: int = 1 << 30
    """How often; then it tells the truth."""
    told: int = 0

    def __call__(self, request: Request, data: bytes) -> bytes:
        """For Proxy.body."""
        if request.method != "GET" or request.key != self.key or urlsplit(request.path).query or not data:
            return data
        self.told += 1
        return self.how(data) if self.told <= self.times else data
