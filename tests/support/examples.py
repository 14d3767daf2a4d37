"""How many examples hypothesis tries: in CI the same few each time; with FUZZ=20 twenty times as many, at random."""

from __future__ import annotations

import os

_FACTOR = os.environ.get("FUZZ")
SAME_EACH_TIME = _FACTOR is None


def examples(number: int) -> int:
    """So many, times FUZZ."""
    return number * int(_FACTOR or 1)
