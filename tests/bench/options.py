"""What the benchmarks are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Of one benchmark on one server. `folder` goes away afterwards, `cache` stays."""

    server: str
    peers: Sequence[str]
    rounds: int
    objects: int
    minutes: float
    folder: Path
    cache: Path
