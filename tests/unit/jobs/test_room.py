"""Bodies in memory stay within their room."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from bucketops_jobs.room import Room


def test_no_more_is_held_than_there_is() -> None:
    room, held, most, lock = Room(10), [0], [0], threading.Lock()

    def work(size: int) -> None:
        with room.taken(size):
            with lock:
                held[0] += min(size, 10)
                most[0] = max(most[0], held[0])
            with lock:
                held[0] -= min(size, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 7, 10, 1, 25, 4] * 50))
    assert 0 < most[0] <= 10
    assert room.take(10) == 10, "all was given back"


def test_what_is_larger_than_the_room_takes_all_of_it() -> None:
    room = Room(10)
    assert room.take(1_000) == 10
    room.give(10)
    assert room.take(4) == 4
