"""The slots of requests, among threads and flows."""

from __future__ import annotations

import threading
import time

from bucketops_jobs.gate import Gate


def test_never_more_at_once_than_the_gate_allows() -> None:
    gate, most, lock = Gate(3), [0], threading.Lock()

    def work() -> None:
        for _ in range(20):
            gate.enter()
            with lock:
                most[0] = max(most[0], gate.active)
            time.sleep(0.0005)
            gate.leave()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3
    assert gate.active == 0


def test_slots_go_to_who_has_waited_longest() -> None:
    gate, woken = Gate(1), list[str]()
    assert gate.ask(lambda: woken.append("nobody"))
    assert not gate.ask(lambda: woken.append("first"))
    assert not gate.ask(lambda: woken.append("second"))
    gate.leave()
    assert woken == ["first"]
    assert not gate.try_enter()
    gate.leave()
    assert woken == ["first", "second"]
    assert gate.active == 1


def test_who_no_longer_waits_is_told_whether_a_slot_had_been_taken() -> None:
    gate, woken = Gate(1), list[str]()

    def wake() -> None:
        woken.append("woken")

    gate.enter()
    assert not gate.ask(wake)
    assert gate.withdraw(wake)
    gate.leave()
    assert (gate.active, woken) == (0, [])
    gate.enter()
    assert not gate.ask(wake)
    gate.leave()
    assert not gate.withdraw(wake)
    assert (gate.active, woken) == (1, ["woken"])


def test_after_a_cut_nobody_enters_until_enough_have_left() -> None:
    gate = Gate(16)
    for _ in range(16):
        gate.enter()
    gate.slowed(time.monotonic(), time.monotonic())
    for _ in range(6):
        assert not gate.try_enter()
        gate.leave()
    assert gate.limit == 10
    assert not gate.try_enter()
    gate.leave()
    assert gate.try_enter()
