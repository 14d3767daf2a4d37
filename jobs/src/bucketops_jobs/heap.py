"""What memory costs a worker: how Python looks for garbage, and how the allocator keeps what it was given back."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1 << 20
"""Bytes."""
_ARENAS = 2
"""Heaps that all threads share: Python's lock lets one of them run at a time."""


_COLLECT = 50_000, 20, 100
"""Objects more than before until Python looks for cycles among the young ones, and so on for the older ones."""


def prepare() -> None:
    """Once, at the beginning of a worker, after its imports."""
    _return_large_blocks()
    _collect_rarely()


def _collect_rarely() -> None:
    """A page of a listing is a thousand tuples, and none is in a cycle: by default each causes a look at them.

    At every few dozen pages Python looks at everything that the libraries hold, too: a third of a listing's CPU.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    gc.enable()


def _return_large_blocks() -> None:
    """Give blocks of a MiB and more back to the system as soon as they are free.

    Left to itself glibc raises that threshold to 32 MiB once it has seen such blocks, and then keeps the bodies of
    every thread that ever held one; and it makes eight heaps per core, each of which keeps what its threads freed.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):  # another libc: it has no such habits
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
