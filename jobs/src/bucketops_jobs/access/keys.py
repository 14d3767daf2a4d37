"""A user's access keys: which is in use, which retires when, which goes. Pure."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bucketops_api import names
from bucketops_api.masking import MASK

_ID_LENGTH, _SECRET_LENGTH = 20, 40
_RETIRES = re.compile(r"; retires (\S+)$")


@dataclass(frozen=True)
class Pair:
    """An access key with its secret, which no repr, log or traceback shows."""

    id: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        MASK.learn({names.SECRET_KEY: self.secret})


@dataclass(frozen=True)
class Key:
    """An access key as its provider lists it. `ours`: made here; a key of somebody else is never touched."""

    id: str
    ours: bool
    retires: datetime | None = None


@dataclass(frozen=True)
class Upkeep:
    """What is to be done with the keys that are not in use."""

    retire: tuple[Key, ...]
    remove: tuple[Key, ...]
    retiring: tuple[Key, ...]
    foreign: tuple[Key, ...]


def upkeep(keys: Iterable[Key], current: str, until: datetime, now: datetime) -> Upkeep:
    """A key that is no longer `current` retires at `until`, and goes once its time is over."""
    others = [key for key in keys if key.id != current]
    ours = [key for key in others if key.ours]
    return Upkeep(
        retire=tuple(Key(key.id, ours=True, retires=until) for key in ours if key.retires is None),
        remove=tuple(key for key in ours if key.retires is not None and key.retires <= now),
        retiring=tuple(key for key in ours if key.retires is not None and key.retires > now),
        foreign=tuple(key for key in others if not key.ours),
    )


def description(owner: str, retires: datetime | None = None) -> str:
    """What stands at a key where the provider has room for a text; at most 256 characters."""
    return owner[:200] + (f"; retires {retires.isoformat()}" if retires else "")


def retirement(text: str) -> datetime | None:
    """When a key retires, from its description."""
    found = _RETIRES.search(text)
    return datetime.fromisoformat(found[1]) if found else None


def password() -> str:
    """A secret that nobody is told."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_SECRET_LENGTH))


def pair_of(found: Mapping[str, str]) -> Pair | None:
    """Return the pair that a Secret holds; None where either half is missing."""
    key, value = found.get(names.ACCESS_KEY), found.get(names.SECRET_KEY)
    return Pair(key, value) if key and value else None
