"""What a worker answers is input: bounded in time, bytes and series, and never more than a count."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_operator import scrape
from bucketops_operator.scrape import MOST, MOST_BYTES, MOST_SERIES, live_counts, parse
from bucketops_operator.scraper import Scraper

LINE = 'bucketops_worker_objects_total{outcome="%s"} %s\n'
GOOD = LINE % ("moved", 3)
PATIENCE = 20.0


@contextmanager
def worker(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A server on loopback that answers each connection as it likes; yields its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.recv(65536)
                    answer(connection, over)
                except OSError:
                    return

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        over.set()


def says(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda connection, _: connection.sendall(answer)


def page(body: str, status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.0 {status}", *lines, "", body]).encode()


def drips(connection: socket.socket, over: threading.Event) -> None:
    """A byte at a time, for ever: no single wait is long."""
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b"#")


def is_silent(_: socket.socket, over: threading.Event) -> None:
    over.wait()


@pytest.mark.parametrize("answer", [drips, is_silent])
def test_a_worker_that_never_ends_its_answer_is_left_after_the_deadline(
    answer: Callable[[socket.socket, threading.Event], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "DEADLINE", 0.3)
    found: list[Mapping[str, int]] = []
    with worker(answer) as port:
        thread = threading.Thread(target=lambda: found.append(live_counts(["127.0.0.1"], port)), daemon=True)
        thread.start()
        thread.join(PATIENCE)
    assert found == [{}]


def test_workers_that_answer_count_though_another_one_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "DEADLINE", 2.0)
    with worker(says(page(GOOD))) as good, worker(is_silent) as bad:

        async def both() -> list[Mapping[str, Mapping[str, int]]]:
            return [
                await scrape.read_all({"good": "127.0.0.1"}, good),
                await scrape.read_all({"bad": "127.0.0.1"}, bad),
            ]

        assert asyncio.run(both()) == [{"good": {"objects/moved": 3}}, {}]


@pytest.mark.parametrize(
    "answer",
    [
        page(GOOD + "#" * MOST_BYTES),
        page(GOOD, "500 Internal Server Error"),
        page(GOOD, "302 Found", location="http://127.0.0.1/"),
        page(GOOD, content_length=len(GOOD) + 1),
        page("".join(LINE % (f"o{number}", 1) for number in range(MOST_SERIES + 1))),
        page(GOOD + "bucketops_worker_objects_total{"),
        page(GOOD).replace(b"moved", b"\xff\xfe"),
        b"",
        b"HTTP/1.0 200 OK",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00" * 4096,
    ],
)
def test_an_answer_that_is_too_large_or_no_page_of_metrics_counts_nothing(answer: bytes) -> None:
    with worker(says(answer)) as port:
        assert live_counts(["127.0.0.1"], port) == {}


def test_nobody_at_the_address_counts_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert live_counts(["127.0.0.1"], port) == {}
    assert live_counts([], port) == {}


@pytest.mark.parametrize("value", ["+Inf", "-Inf", "NaN", "1e308", "-1", str(float(MOST * 2))])
def test_a_value_that_is_no_count_is_left_out(value: str) -> None:
    assert parse(LINE % ("moved", value) + LINE % ("failed", 2)) == {"objects/failed": 2}


@pytest.mark.parametrize("name", ["", "x" * 200, "<b>", "a b", "ünlesbar", "a\\nb"])
def test_a_name_that_is_no_counts_name_is_left_out(name: str) -> None:
    found = parse(LINE % (name, 1) + LINE % ("failed", 2))
    assert {key: value for key, value in found.items() if key != "objects/"} == {"objects/failed": 2}


@given(st.dictionaries(st.from_regex(r"[a-zA-Z][a-zA-Z0-9]{0,20}", fullmatch=True), st.integers(0, MOST), max_size=20))
def test_what_a_worker_counts_is_read_as_it_is(counted: dict[str, int]) -> None:
    text = "".join(LINE % pair for pair in counted.items())
    assert parse(text) == {f"objects/{name}": int(float(value)) for name, value in counted.items()}


def test_a_look_never_waits_for_workers_that_were_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second read hangs for ever: the look still has what the first one brought."""
    over, calls, loops = asyncio.Event(), list[Mapping[str, str]](), list[asyncio.AbstractEventLoop]()

    async def read(workers: Mapping[str, str]) -> Mapping[str, Mapping[str, int]]:
        calls.append(workers)
        loops.append(asyncio.get_running_loop())
        if len(calls) == 2:
            await over.wait()
        return {key: {"done": len(calls)} for key in workers}

    scraper, before = Scraper(read), datetime.now(UTC)

    def look() -> Mapping[str, int]:
        return scraper.counts("owner", {"pod/0": "10.0.0.1"})["pod/0"].counts

    first = scraper.counts("owner", {"pod/0": "10.0.0.1"})
    assert first["pod/0"].counts == {"done": 1}
    assert before <= first["pod/0"].at <= datetime.now(UTC)
    monkeypatch.setattr("bucketops_operator.scraper.FIRST_WAIT", None)
    looks = threading.Thread(target=lambda: [look() for _ in range(3)], daemon=True)
    looks.start()
    looks.join(PATIENCE)
    assert not looks.is_alive()
    assert look() == {"done": 1}
    _until(lambda: len(calls) == 2)
    assert scraper.counts("other", {"pod/1": "10.0.0.2"})["pod/1"].counts, "others are not held up"
    loops[0].call_soon_threadsafe(over.set)


def test_counts_of_a_worker_that_began_anew_are_not_those_of_the_one_before() -> None:
    async def read(workers: Mapping[str, str]) -> Mapping[str, Mapping[str, int]]:
        return {key: {"done": 7 if key == "pod/0" else 1} for key in workers}

    scraper = Scraper(read)
    assert scraper.counts("owner", {"pod/0": "10.0.0.1"})["pod/0"].counts == {"done": 7}
    found = scraper.counts("owner", {"pod/1": "10.0.0.1"})
    assert all(seen.counts == {"done": 1} for seen in found.values())
    assert scraper.counts("owner", {}) == {}


def test_a_failed_read_is_followed_by_another_one() -> None:
    calls = list[int]()

    async def read(workers: Mapping[str, str]) -> Mapping[str, Mapping[str, int]]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("no route")
        return {key: {"done": 1} for key in workers}

    scraper = Scraper(read)
    assert scraper.counts("owner", {"pod/0": "10.0.0.1"}) == {}
    _until(lambda: bool(scraper.counts("owner", {"pod/0": "10.0.0.1"})))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
