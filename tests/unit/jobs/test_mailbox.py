"""A mailbox keeps order, loses nothing, and each wait ends."""

from __future__ import annotations

import threading
from queue import Empty

import pytest

from bucketops_jobs.mailbox import Mailbox

PATIENCE = 60.0
TIMES = 20_000


def test_what_was_put_first_is_taken_first() -> None:
    box = Mailbox[int]()
    for number in range(10):
        box.put(number)
    assert box.qsize() == 10
    assert [box.get() for _ in range(10)] == list(range(10))
    assert box.qsize() == 0


@pytest.mark.parametrize("timeout", [0.0, 1e-9, 0.01])
def test_nothing_comes_and_the_wait_ends(timeout: float) -> None:
    with pytest.raises(Empty):
        Mailbox[int]().get(timeout=timeout)


def test_a_wait_ends_however_short_it_is_after_something_was_taken_without_one() -> None:
    """This is what CPython's own SimpleQueue does not do in 3.11 and 3.12."""
    box, ended = Mailbox[int](), threading.Event()

    def wait_often() -> None:
        for _ in range(TIMES):
            box.put(1)
            box.get()
            with pytest.raises(Empty):
                box.get(timeout=1e-9)
        ended.set()

    threading.Thread(target=wait_often, daemon=True).start()
    assert ended.wait(PATIENCE)


def test_a_receiver_without_a_limit_is_woken_by_the_first_of_many_senders() -> None:
    box = Mailbox[int]()
    senders = [threading.Thread(target=lambda: [box.put(1) for _ in range(1000)]) for _ in range(8)]
    taken: list[int] = []
    receiver = threading.Thread(target=lambda: taken.extend(box.get() for _ in range(8000)), daemon=True)
    receiver.start()
    for sender in senders:
        sender.start()
    receiver.join(PATIENCE)
    assert len(taken) == 8000
    assert box.qsize() == 0
