"""Parallel listing of a flat prefix: complete, once, in order, in bounded memory, whatever the keys and cuts are."""

from __future__ import annotations

import itertools
import random
import threading
import time
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketops_jobs.errors import ShardError, TransientError
from bucketops_jobs.s3 import partition, ranges
from bucketops_jobs.s3.fake import FakeServer
from bucketops_jobs.s3.growth import Growth
from bucketops_jobs.s3.partition import HELD, Partition
from bucketops_jobs.s3.store import Object, Page

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
any_key = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
tight_key = st.text("ab/", min_size=1, max_size=8)
avatar = st.integers(0, 10**6).map(lambda n: f"image/avatar-{n}.png")
some_keys = st.sets(any_key | tight_key | avatar, max_size=200)


@dataclass
class Server:
    """Pages of at most `size` keys from a sorted list; a page costs no time, its end is its token."""

    keys: list[str]
    size: int = 5
    empty_first: bool = False
    """An empty page that is truncated comes first, as AWS answers at times."""
    walks: bool = False
    """As MinIO: a token is good for the walk that it belongs to."""
    asked: int = 0
    opened: int = 0
    """Listings begun, not gone on with."""
    bucket: str = "bucket"
    delay: Callable[[], float] = field(default=lambda: 0.0)

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        assert not (after and token)
        self.asked += 1
        self.opened += not token
        time.sleep(self.delay())
        if self.empty_first and token is None:
            return Page([], f"={after}")
        beyond = self._last(token) if token else after
        start = bisect_left(self.keys, prefix) if beyond < prefix else bisect_right(self.keys, beyond)
        found = [key for key in self.keys[start : start + min(self.size, limit) + 1] if key.startswith(prefix)]
        objects = [Object(key, "etag", 1, LONG_AGO) for key in found[: self.size]]
        return Page(objects, self._token(objects[-1].key) if len(found) > len(objects) else None)

    def _token(self, last: str) -> str:
        return b64encode(f"{last}[minio_cache:v2,return:]".encode()).decode() if self.walks else f"={last}"

    def _last(self, token: str) -> str:
        return b64decode(token).decode().partition("[")[0] if self.walks else token[1:]


def drive(server: Server, parts: Partition, seed: int, streams: int) -> Iterator[list[Object]]:
    """The pure core under every order of answers that chance finds: no thread, no clock."""
    chance, running = random.Random(seed), []
    while not parts.over:
        while len(running) < streams and (part := parts.next_part(streams)) is not None:
            running.append(part)
        assert parts.waiting <= HELD * streams + 1
        objects = parts.take() if not running or chance.random() < 0.5 else None
        if objects is not None:
            yield objects
        elif running:
            part = running.pop(chance.randrange(len(running)))
            where = {"token": part.token} if part.token else {"after": part.after}
            parts.arrived(part, server.page(parts.prefix, **where))
        else:
            raise AssertionError("nobody has anything to do, and it is not over")


@settings(max_examples=300)
@given(
    some_keys, st.booleans(), st.integers(1, 9), st.lists(any_key | tight_key | avatar, max_size=4),
    any_key | st.just(""), st.none() | any_key | avatar, st.integers(0, 10**6), st.booleans(),
)  # fmt: skip
def test_every_key_comes_exactly_once_whatever_is_cut_and_answered_when(  # noqa: PLR0917 - drawn
    keys: set[str],
    ordered: bool,
    streams: int,
    bounds: list[str],
    after: str,
    until: str | None,
    seed: int,
    empty_first: bool,
) -> None:
    if until is not None and until <= after:
        until = None
    server = Server(sorted(keys), empty_first=empty_first)
    parts = Partition("", after, until, bounds, ordered=ordered)
    shown = [entry.key for page in drive(server, parts, seed, streams) for entry in page]
    wanted = [key for key in server.keys if key > after and (until is None or key <= until)]
    assert (shown if ordered else sorted(shown)) == wanted
    parts.require_complete(after, until)


@given(some_keys, tight_key, st.integers(0, 10**6), st.booleans())
def test_other_prefixes_are_left_alone(keys: set[str], prefix: str, seed: int, ordered: bool) -> None:
    server = Server(sorted(keys))
    parts = Partition(prefix, "", None, [], ordered=ordered)
    shown = sorted(entry.key for page in drive(server, parts, seed, 4) for entry in page)
    assert shown == sorted(key for key in keys if key.startswith(prefix))


NAMES: dict[str, Callable[[random.Random, int], str]] = {
    "numbers": lambda _, n: f"image/avatar-{n}.png",
    "padded": lambda _, n: f"image/{n:012d}",
    "random": lambda chance, _: f"image/{chance.randbytes(16).hex()}",
    "deep": lambda _, n: f"image/a/very/long/way/that/all/of/them/share/20260101T{n:08d}.log",
    "skewed": lambda chance, n: f"image/{'zz' if not n else 'a'}{chance.randrange(10**9)}",
    "unicode": lambda _, n: f"image/日本/{chr(0x3042 + n % 80)}{n}",
    "dates": lambda _, n: f"image/{2015 + n % 11}/{n % 12 + 1:02d}/{n}",
}


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "any order"])
@pytest.mark.parametrize("name", NAMES)
def test_streams_share_the_work_whatever_the_keys_look_like(name: str, ordered: bool) -> None:
    """Rounds in which all streams answer once: with 8 streams far fewer than pages, and few answers in vain."""
    chance = random.Random(1)
    server = Server(sorted({NAMES[name](chance, n) for n in range(4000)}), size=10)
    parts = Partition("image/", "", None, [], ordered=ordered)
    pages = len(server.keys) / server.size
    shown = rounds = 0
    while not parts.over:
        running = [part for _ in range(8) if (part := parts.next_part(8)) is not None]
        for part in running:
            where = {"token": part.token} if part.token else {"after": part.after}
            parts.arrived(part, server.page("image/", **where))
        rounds += 1
        while (objects := parts.take()) is not None:
            shown += len(objects)
    assert shown == len(server.keys)
    assert rounds < pages / 2
    assert server.asked < pages * 2.5


def listed(server: Server, **how: object) -> list[str]:
    return [entry.key for entry in ranges.in_order(server, "", **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_threads_list_all_in_order(size: int) -> None:
    server = Server(sorted(f"k{n}" for n in range(500)), size=size)
    assert listed(server, most=8) == server.keys
    assert listed(server, after="k10", until="k300") == [key for key in server.keys if "k10" < key <= "k300"]


def test_threads_bring_each_page_once() -> None:
    chance = random.Random(1)
    server = Server(sorted(f"k{n}" for n in range(2000)), size=9, delay=lambda: chance.random() / 500)
    shown = [entry.key for page in ranges.each_page(server, "k", most=8) for entry in page]
    assert sorted(shown) == server.keys
    assert len(shown) == len(server.keys)


def test_records_are_in_no_listing() -> None:
    server = Server([".bucketops/a", "b/.bucketops/c", "d"])
    assert listed(server) == ["d"]
    assert [[entry.key for entry in page] for page in ranges.each_page(server, "")] == [["d"]]


def test_the_fake_store_is_listed_alike_by_one_stream_and_by_many() -> None:
    store = FakeServer().store("bucket")
    for n in range(2500):
        store.put(f"k{n}", b"", {})
    assert list(ranges.in_order(store, "k")) == list(store.list_objects("k"))


@pytest.mark.parametrize("ordered", [True, False])
def test_an_error_of_one_stream_ends_the_listing(ordered: bool) -> None:
    server = Server([f"k{n:04d}" for n in range(900)], size=3)

    def fail() -> float:
        if server.asked > 100:
            raise TransientError("down")
        return 0.0

    server.delay = fail
    with pytest.raises(TransientError, match="down"):
        list(ranges.in_order(server, "") if ordered else ranges.each_page(server, ""))


@pytest.mark.parametrize("keys", [["b", "a", "c"], ["a", "a"], ["x/a"]])
def test_a_server_that_lies_about_the_order_or_the_prefix_is_not_believed(keys: list[str]) -> None:
    server = Server([])
    server.page = lambda *_, **__: Page([Object(key, "", 0, LONG_AGO) for key in keys], None)  # type: ignore[method-assign]
    with pytest.raises(ShardError, match="the listing of"):
        list(ranges.in_order(server, "" if keys != ["x/a"] else "y/"))


def test_a_server_that_repeats_its_token_is_not_asked_for_ever() -> None:
    server = Server([])
    server.page = lambda *_, **__: Page([], "same")  # type: ignore[method-assign]
    with pytest.raises(ShardError, match="does not go on"):
        list(ranges.in_order(server, ""))


def test_a_consumer_that_stops_leaves_no_thread_behind() -> None:
    server = Server([f"k{n:04d}" for n in range(5000)], size=5, delay=lambda: 0.001)
    before = threading.active_count()
    shown = ranges.in_order(server, "")
    assert [next(shown).key for _ in range(900)] == server.keys[:900]
    shown.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert server.asked < 900


def test_a_slow_consumer_bounds_what_is_held() -> None:
    server = Server([f"k{n:05d}" for n in range(20_000)], size=5, delay=lambda: 0.0)
    shown = ranges.in_order(server, "", most=4)
    next(shown)
    time.sleep(0.2)
    asked = server.asked
    assert asked <= HELD * 4 + 5
    assert sum(1 for _ in shown) == len(server.keys) - 1


def simulated(growth: Growth, rate: Callable[[int], float], pages: int = 2000) -> int:
    """The streams that a server is given whose keys per second depend on their number."""
    now = 0.0
    for _ in range(pages):
        now += 1000 / rate(growth.streams)
        growth.arrived(now, 1000)
    return growth.streams


def test_a_server_that_gains_nothing_keeps_one_stream() -> None:
    assert simulated(Growth(32), lambda _: 35_000) == 1
    assert simulated(Growth(32), lambda streams: 35_000 / streams) == 1


def test_a_server_that_is_far_away_gets_all() -> None:
    assert simulated(Growth(32), lambda streams: 9_000 * streams) == 32


@pytest.mark.parametrize("bounds", [[], ["k1", "k5"]])
@pytest.mark.parametrize("ordered", [True, False])
def test_a_server_that_walks_the_folder_for_each_range_is_asked_for_one(ordered: bool, bounds: list[str]) -> None:
    server = Server(sorted(f"k{n}" for n in range(2000)), walks=True, delay=lambda: 0.001)
    found = (
        ranges.in_order(server, "", bounds=bounds)
        if ordered
        else itertools.chain.from_iterable(ranges.each_page(server, "", bounds=bounds))
    )
    assert [entry.key for entry in found] == server.keys
    assert server.opened == 1


@pytest.mark.parametrize(
    ("token", "walks"),
    [
        ("aW1hZ2UvYXZhdGFyLTE4OTgucG5nW21pbmlvX2NhY2hlOnYyLHJldHVybjpd", True),
        ("1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=", False),
        ("aW1hZ2UvYS5wbmc=", False),
        ("avatar-\u00e9", False),
    ],
)
def test_minio_is_known_by_its_tokens(token: str, walks: bool) -> None:
    assert ranges.walks(token) is walks


def test_streams_stop_where_the_server_does() -> None:
    assert simulated(Growth(32), lambda streams: 9_000 * min(streams, 5)) in (4, 8)


def test_one_stream_is_all_that_is_allowed() -> None:
    assert simulated(Growth(1), lambda streams: 9_000 * streams) == 1


def test_parts_that_are_done_are_forgotten() -> None:
    server = Server([f"k{n:05d}" for n in range(20_000)], size=10)
    parts = Partition("", "", None, [], ordered=False)
    most = 0
    for _ in drive(server, parts, 1, 8):
        most = max(most, len(parts.parts))
    assert most < 100
    assert partition.HELD < 8
