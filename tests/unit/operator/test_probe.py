"""What the kubelet's probe hears."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bucketops_operator import probe


@pytest.fixture
def turning() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def answered(loop: asyncio.AbstractEventLoop | None, *problems: str) -> tuple[str, str]:
    said: list[str] = []
    controller: Any = SimpleNamespace(loop=loop, problems=lambda: list(problems))
    body = b"".join(probe.app(controller)({}, lambda status, _: said.append(status)))
    return said[0], body.decode()


def test_all_is_well(turning: asyncio.AbstractEventLoop) -> None:
    assert answered(turning) == ("200 OK", "ok")


def test_what_is_dead_is_said(turning: asyncio.AbstractEventLoop) -> None:
    assert answered(turning, "the watch is dead") == ("500 Internal Server Error", "the watch is dead")


def test_an_operator_that_has_not_started_is_not_ready() -> None:
    assert answered(None)[0].startswith("500")


def test_an_event_loop_that_does_not_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LOOP_SECONDS", 0.05)
    stuck = asyncio.new_event_loop()
    assert answered(stuck)[1].startswith("the event loop has not turned")
    stuck.close()
