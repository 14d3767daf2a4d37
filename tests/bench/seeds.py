"""The objects of the benchmarks: avatars in a few variants, so that a mix-up shows in the ETags of a listing."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

SIZE = 1676
VARIANTS = 16
PATTERN = "avatar-%d.png"


def body(variant: int) -> bytes:
    """The bytes of a variant, the same in every run."""
    return random.Random(variant).randbytes(SIZE)


BODIES = [body(variant) for variant in range(VARIANTS)]
ETAGS = [hashlib.md5(each, usedforsecurity=False).hexdigest() for each in BODIES]


def name(number: int) -> str:
    return PATTERN % number


def expected(prefix: str, count: int) -> dict[str, str]:
    """Key -> ETag of `count` objects below a prefix."""
    return {prefix + name(number): ETAGS[number % VARIANTS] for number in range(count)}


def write(folder: Path) -> Path:
    """Each variant as a file, in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant, content in enumerate(BODIES):
        (folder / f"{variant:02d}").write_bytes(content)
    return folder
