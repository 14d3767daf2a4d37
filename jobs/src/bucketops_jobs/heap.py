"""How glibc's allocator keeps what a worker has given back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1 << 20
"""Bytes."""
_ARENAS = 2
"""Heaps that all threads share: Python's lock lets one of them run at a time."""


def return_large_blocks() -> None:
    """Give blocks of a MiB and more back to the system as soon as they are free.

    Left to itself glibc raises that threshold to 32 MiB once it has seen such blocks, and then keeps the bodies of
    every thread that ever held one; and it makes eight heaps per core, each of which keeps what its threads freed.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):  # another libc: it has no such habits
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
