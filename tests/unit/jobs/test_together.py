"""Answers are looked for together where many are awaited, and at once where few are."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.s3 import together
from bucketops_jobs.s3.together import LONGEST, SHARE, SHORTEST, Together, adapted

PAUSES = st.floats(0, LONGEST)
COUNTS = st.integers(1, 1000)
FEW = int(1 / SHARE)


@contextmanager
def connected(count: int) -> Iterator[tuple[Together, list[tuple[socket.socket, socket.socket]]]]:
    """A selector of the first of each pair."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for one in (one for pair in pairs for one in pair):
            stack.enter_context(one)
        selector = stack.enter_context(Together())
        for near, _ in pairs:
            selector.register(near, selectors.EVENT_READ)
        yield selector, pairs


def looked(selector: Together, pairs: list[tuple[socket.socket, socket.socket]], ready: int) -> None:
    """One look that finds so many ready."""
    for _, far in pairs[:ready]:
        far.send(b"x")
    assert len(selector.select(None)) == ready
    for near, _ in pairs[:ready]:
        near.recv(1)


@given(PAUSES, COUNTS, COUNTS)
def test_a_pause_is_at_most_doubled_and_has_a_bound(pause: float, found: int, connections: int) -> None:
    assert 0 <= adapted(pause, found, connections) <= min(LONGEST, 2 * max(pause, SHORTEST / 2))


@given(PAUSES, COUNTS)
def test_a_pause_that_finds_the_wanted_share_stays(pause: float, found: int) -> None:
    wanted = adapted(max(pause, SHORTEST), found, round(found / SHARE))
    assert wanted == pytest.approx(max(pause, SHORTEST))


@given(PAUSES, st.integers(1, FEW - 1))
def test_where_few_are_awaited_the_pause_ends(pause: float, connections: int) -> None:
    for _ in range(200):
        pause = adapted(pause, 1, connections)
    assert pause < SHORTEST


def test_with_a_few_connections_it_never_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together.time, "sleep", lambda _: pytest.fail("it slept"))
    with connected(FEW - 2) as (selector, pairs):
        for _ in range(20):
            looked(selector, pairs, 1)
        assert selector.pause < SHORTEST


def test_with_many_connections_it_sleeps_the_longer_the_fewer_are_ready() -> None:
    with connected(5 * FEW) as (selector, pairs):
        for _ in range(20):
            looked(selector, pairs, 1)
        assert selector.pause == LONGEST
        looked(selector, pairs, 5 * FEW)
        assert selector.pause == pytest.approx(LONGEST * SHARE)


def test_a_look_that_may_not_wait_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(5 * FEW) as (selector, pairs):
        for _ in range(20):
            looked(selector, pairs, 1)
        monkeypatch.setattr(together.time, "sleep", lambda _: pytest.fail("it slept"))
        assert selector.select(0) == []
        assert selector.select(LONGEST / 2) == []
