"""The store fails in mid-run: no object is lost, no row dangles at any moment, nothing of the application is undone."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketops_jobs import retries
from bucketops_jobs.s3 import http
from support.avatars import s3_client
from support.faulty import DAMAGES, Bursts, Pages, Refusing, Slow, Sometimes, error, is_copy, is_listing
from support.fire import IN_HAND, OBJECTS, PHASES, Fire, burning
from support.mortal_store import MortalStore
from support.proxy import Answer
from support.servers import ADMIN, PASSWORD, start_minio


@pytest.fixture
def fire(lab: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    with burning(lab, monkeypatch) as fire:
        yield fire


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[MortalStore]:
    server = MortalStore(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def own_fire(lab: Any, mortal: MortalStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    """On a store of its own."""
    lab.endpoint, lab.world.s3 = mortal.url, s3_client(mortal.url, ADMIN, PASSWORD)
    with burning(lab, monkeypatch) as fire:
        yield fire


def test_a_store_that_is_killed_in_each_phase_is_waited_for(own_fire: Fire, mortal: MortalStore) -> None:
    driver = own_fire.drive()
    for phase, number in PHASES.items():
        own_fire.strike(driver, phase, number, mortal.restart)
    own_fire.finish(driver)
    own_fire.expect_the_right_end(driver, again=len(PHASES) * IN_HAND)


def test_a_store_that_freezes_in_each_phase_holds_nobody_for_ever(
    own_fire: Fire, mortal: MortalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than a request may take; what was sent to it before is done when it wakes."""
    monkeypatch.setattr(http, "ANSWER_SECONDS", 1.0)
    own_fire.proxy.rule = mortal.watch
    driver = own_fire.drive()
    for phase, number in PHASES.items():
        own_fire.strike(driver, phase, number, lambda: mortal.freeze(4))
    own_fire.finish(driver)
    assert mortal.asked_again
    own_fire.expect_the_right_end(driver, again=len(PHASES) * IN_HAND)


def test_bursts_of_slow_down_are_ridden_out(fire: Fire) -> None:
    rule = fire.proxy.rule = Bursts()
    driver = fire.drive()
    fire.finish(driver)
    assert rule.told > 20
    fire.expect_the_right_end(driver)


def test_errors_at_random_are_ridden_out_whether_the_server_did_its_part_or_not(fire: Fire) -> None:
    """Of all requests 1 % are answered by 500, and as many connections cut; each second time the server has worked."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    failing, cut = (
        Sometimes(random.Random(seed + n), 0.01, answer)
        for n, answer in enumerate((Answer(500, error("InternalError")), Answer(cut=True)))
    )
    fire.proxy.rule = lambda request: failing(request) or cut(request)
    driver = fire.drive()
    fire.finish(driver)
    assert failing.told
    assert cut.told
    fire.expect_the_right_end(driver)


def test_an_error_in_the_200_of_a_copy_is_no_copy(fire: Fire) -> None:
    rule = fire.proxy.rule = Sometimes(random.Random(1), 0.2, Answer(200, error("InternalError")), is_copy)
    driver = fire.drive(guard="Check")
    fire.finish(driver)
    assert rule.told > 20
    fire.expect_the_right_end(driver, again=rule.late)


def test_a_slow_store_is_waited_for(fire: Fire) -> None:
    slow = Slow(random.Random(1), seconds=0.06, rate=300_000)
    fire.proxy.rule, fire.proxy.body = slow, slow.body
    driver = fire.drive()
    fire.finish(driver)
    fire.expect_the_right_end(driver)


def test_damaged_pages_are_asked_for_again_and_no_key_is_missed(fire: Fire) -> None:
    """Cut connections and bodies, a key left out, a count that does not agree, no token, an empty page that goes on."""
    pages = fire.proxy.body = Pages(every=4)
    driver = fire.drive()
    fire.finish(driver)
    assert set(pages.damaged) == {damage.__name__ for damage in DAMAGES}
    fire.expect_the_right_end(driver)


def test_a_listing_that_fails_half_way_is_no_evidence(fire: Fire, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each phase until the worker gives up: the next attempt begins anew, and absence deletes nothing."""
    monkeypatch.setattr(retries, "ATTEMPTS", 3)
    broken = fire.proxy.rule = Refusing(
        lambda request: is_listing(request) and "continuation-token" in request.path and "bucketops" not in request.path
    )
    fire.proxy.body = Pages()
    driver = fire.drive()
    phases = (*PHASES, "audit")  # which counts what it sees, and nobody looks after it
    for phase in phases:
        driver.before(phase, lambda: broken.refuse(2 * retries.ATTEMPTS))
    fire.finish(driver)
    assert broken.told == len(phases) * 2 * retries.ATTEMPTS
    fire.expect_the_right_end(driver, again=len(PHASES) * IN_HAND)


class Tight:
    """A MinIO on a disk of its own that is soon full."""

    def __init__(self, folder: Path) -> None:
        self._server = start_minio(folder, mebibytes=64)
        self.url = f"http://127.0.0.1:{self._server.port}"
        seen_by_it = Path(f"/proc/{self._server.process.pid}/root{folder}/data")
        self._ballast = seen_by_it / "ballast"

    def fill(self) -> None:
        """To the last byte."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1):
                with pytest.raises(OSError, match="No space left on device"):
                    _write_for_ever(file, size)

    def empty(self) -> None:
        self._ballast.unlink()

    def stop(self) -> None:
        self._server.stop()


def _write_for_ever(file: io.RawIOBase, size: int) -> None:
    while True:
        file.write(bytes(size))


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Tight]:
    server = Tight(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def tight_fire(lab: Any, tight: Tight, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    lab.endpoint, lab.world.s3 = tight.url, s3_client(tight.url, ADMIN, PASSWORD)
    with burning(lab, monkeypatch) as fire:
        yield fire


def test_a_full_disk_stops_the_run_in_words_and_space_lets_it_go_on(tight_fire: Fire, tight: Tight) -> None:
    """It does not take a hundred thousand refusals for as many failed objects."""
    driver = tight_fire.drive()
    tight_fire.strike(driver, "copy", PHASES["copy"], tight.fill)
    words = tight_fire.hold(driver, "StorageFull")
    assert "make space" in words
    assert 0 < len(tight_fire.world.keys(tight_fire.world.destination)) < OBJECTS
    tight.empty()
    tight_fire.go_on(driver)
    tight_fire.finish(driver)
    tight_fire.expect_the_right_end(driver, again=IN_HAND)
