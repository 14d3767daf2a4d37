"""How the keys of a place are cut into shards: ranges of about equally many keys. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

SHARD_KEYS = 250_000
"""Keys of one shard: what a worker holds of it fits its memory."""
MOST_SHARDS = 10_000
_SAMPLES = 20_000


@dataclass(frozen=True)
class Range:
    """Keys after `after` (exclusive) up to `until` (inclusive); None: to the end."""

    after: str = ""
    until: str | None = None

    def __contains__(self, key: str) -> bool:
        """The first range holds the empty key too: the object whose key is the prefix itself."""
        return (key > self.after or not self.after) and (self.until is None or key <= self.until)


def ranges(bounds: Sequence[str]) -> list[Range]:
    """One range of keys per shard; together they cover every key once. `bounds`: the last key of each but the last."""
    return [Range(after, until) for after, until in itertools.zip_longest(["", *bounds], bounds)]


@dataclass
class Sampler:
    """Every n-th key of a stream of unknown length, in bounded memory: boundaries of even shards."""

    keys: list[str]
    stride: int = 1
    seen: int = 0
    most: int = field(default_factory=lambda: _SAMPLES)

    def add(self, key: str) -> None:
        """Take notice of the next key, in order."""
        if self.seen % self.stride == 0:
            self.keys.append(key)
        self.seen += 1
        if len(self.keys) >= self.most:
            self.keys = self.keys[::2]
            self.stride *= 2

    def bounds(self, shards: int) -> tuple[str, ...]:
        """The last key of each of at most `shards` ranges but the last."""
        count = len(self.keys)
        picked = (self.keys[count * n // shards] for n in range(1, shards)) if count else ()
        return tuple(key for key in dict.fromkeys(picked) if key)


def shard_count(wanted: int | str, parallelism: int, keys: int) -> int:
    """`auto`: one per pod, more where a shard would hold more than 250,000 keys, and never an empty one."""
    count = wanted if isinstance(wanted, int) else max(parallelism, -(-keys // SHARD_KEYS))
    return max(1, min(count, max(keys, 1), MOST_SHARDS))


def spread(keys: Sequence[str], most: int) -> list[str]:
    """At most so many of these keys, evenly spread."""
    count = min(len(keys), most)
    return [keys[len(keys) * n // count] for n in range(count)]
