"""Seals of records: whoever may write where they lie can write such objects too, and must decide nothing by it.

A seal is an HMAC-SHA256 over the bytes of a record and over its place, so that no record can be changed, or moved to
another place. Keys come from secrets that bucket writers do not have; docs/decisions/0008 says from which.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

_COST = 1 << 14
"""Of scrypt: 16 MiB and some 50 ms for each guess of whoever reads a seal and wants the secret behind it."""


@dataclass(frozen=True)
class Derived:
    """The key that a secret gives for a purpose: the same at any time, and no way back to the secret.

    It is made when something is signed or compared with it: a worker that meets no record does without.
    """

    secret: str = field(repr=False)
    purpose: str

    def __bytes__(self) -> bytes:
        return _derived(self.secret, self.purpose)


Key = bytes | Derived


class Seal:
    """Signs with each of its keys, and takes what was signed with any of them, or with a former one."""

    def __init__(self, keys: Iterable[Key] = (), former: Iterable[Key] = ()) -> None:
        self._keys: tuple[Key, ...] = tuple(key for key in keys if key)
        self._known = (*self._keys, *(key for key in former if key))

    @property
    def vouches(self) -> bool:
        """Whether there is a key to sign with."""
        return bool(self._keys)

    def sign(self, place: str, data: bytes) -> str:
        """Return the seals of these bytes at this place: one for each key, in hexadecimal, a blank between them."""
        return " ".join(_signed(key, place, data) for key in self._keys)

    def holds(self, place: str, data: bytes, seals: object) -> bool:
        """Whether one of the seals is ours, for these bytes at this place. The keys are tried in turn."""
        if not isinstance(seals, str):
            return False
        given = [one.encode(errors="replace") for one in seals.split(" ")]
        ours = (_signed(key, place, data).encode() for key in self._known)
        return any(hmac.compare_digest(one, other) for one in ours for other in given)


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=purpose.encode(), n=_COST, r=8, p=1, dklen=32)


def _signed(key: Key, place: str, data: bytes) -> str:
    signer = hmac.new(bytes(key), hashlib.sha256(place.encode(errors="surrogatepass")).digest(), "sha256")
    signer.update(data)
    return signer.hexdigest()
