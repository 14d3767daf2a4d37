"""How many requests are in flight, in simulated time: no server, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.control import CUT, START, Control
from support.queueing import Client, Server, client, run

ROUND_TRIPS = 40


@pytest.mark.parametrize("most", [50, 100, 200, 500])
def test_latency_is_hidden(most: int) -> None:
    """500 ms away and with no limit of its own: the ramp costs at most 15 % of a run of 40 round trips."""
    worker = client(most)
    run(Server(base=lambda _: 0.5), [worker], ROUND_TRIPS * 0.5)
    assert worker.rate(0, ROUND_TRIPS * 0.5) >= 0.85 * most / 0.5
    assert worker.control.limit == most


@pytest.mark.parametrize(("base", "capacity"), [(0.1, 500), (0.5, 200), (0.03, 1000)])
@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_a_saturated_server_is_kept_busy_and_no_more(base: float, capacity: float, jitter: float) -> None:
    """No throttle ever: the latency alone says that more in flight buys nothing."""
    worker = client(1000)
    run(Server(lambda _: base, lambda _: capacity, jitter=jitter), [worker], 40)
    assert worker.rate(10, 40) >= 0.95 * capacity
    assert capacity * base <= worker.limit(10, 40) <= 3 * capacity * base


def test_near_by_the_queue_is_a_few_milliseconds_long() -> None:
    """Two milliseconds away, latency says little: what is in flight is bounded by a queue that harms nobody."""
    worker = client(1000)
    run(Server(lambda _: 0.002, lambda _: 3000), [worker], 8)
    assert worker.rate(1, 8) >= 0.98 * 3000
    assert worker.limit(1, 8) <= 0.04 * 3000


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_capacity_halves_and_comes_back(jitter: float) -> None:
    """503s from 60 s to 120 s: in flight falls with the capacity and recovers with it; the server stays busy."""
    capacity = lambda now: 250 if 60 <= now < 120 else 500  # noqa: E731 - a function of time
    worker = client(500)
    run(Server(lambda _: 0.1, capacity, patience=0.1, jitter=jitter), [worker], 180)
    before, during, after = worker.limit(30, 60), worker.limit(65, 120), worker.limit(130, 180)
    assert during < 0.6 * before
    assert after > 0.9 * before
    assert worker.rate(30, 60) >= 0.95 * 500
    assert worker.rate(65, 120) >= 0.95 * 250
    assert worker.rate(130, 180) >= 0.95 * 500
    assert len(worker.refused) < 0.01 * len(worker.done)


@pytest.mark.parametrize("patience", [0.2, float("inf")])
def test_workers_that_share_a_server_get_fair_shares(patience: float) -> None:
    """With and without throttles; who comes late too."""
    workers = [client(200, since) for since in (0, 0, 10, 20)]
    run(Server(lambda _: 0.1, lambda _: 1000, patience=patience, jitter=0.3), workers, 90)
    rates = [worker.rate(40, 90) for worker in workers]
    assert sum(rates) >= 0.95 * 1000
    assert max(rates) <= 2 * min(rates)


def test_the_floor_follows_a_changed_path() -> None:
    """The way to the server becomes four times as long, and the server has room: what is in flight stays."""
    worker = client(200)
    run(Server(base=lambda now: 0.05 if now < 30 else 0.2, jitter=0.2), [worker], 120)
    assert worker.limit(60, 120) >= 0.95 * 200
    assert worker.rate(60, 120) >= 0.9 * 200 / 0.2


def test_one_round_of_refusals_cuts_once() -> None:
    control = Control(64, 0)
    for _ in range(16):
        control.slowed(started=0, now=0.1)
    assert control.limit == pytest.approx(START * CUT)
    control.slowed(started=0.2, now=0.3)
    assert control.limit == pytest.approx(START * CUT**2)


def test_what_is_not_wanted_is_not_granted() -> None:
    """A worker held by its rate limit, its database or its own CPU proves nothing about the store."""
    control = Control(500, 0)
    for number in range(1000):
        control.answered("get", number * 0.1, number * 0.1 + 0.01)
    assert control.limit == START


def test_requests_of_another_size_or_kind_are_measured_by_their_own_floor() -> None:
    """Lists that take twenty times as long as heads are no sign of a queue."""
    mixed, worker = Control(500, 0), Client(Control(500, 0))
    now = 0.0
    for _ in range(40):
        for kind, seconds in (("head", 0.01), ("list", 0.2)):
            for _ in range(int(mixed.limit)):
                mixed.pressed = True
                mixed.answered(kind, now, now + seconds)
            now += seconds
    assert mixed.limit == 500
    assert worker.control.limit == START


@given(
    st.integers(1, 1024),
    st.lists(st.tuples(st.sampled_from(["answered", "slowed"]), st.floats(0.0, 70), st.booleans()), max_size=300),
)
def test_the_limit_stays_within_its_bounds(most: int, events: list[tuple[str, float, bool]]) -> None:
    control, now = Control(most, 0), 0.0
    for what, latency, pressed in events:
        now += 0.02
        control.pressed = control.pressed or pressed
        if what == "answered":
            control.answered("copy", now - latency, now)
        else:
            control.slowed(now - latency, now)
        assert 1 <= control.limit <= most
