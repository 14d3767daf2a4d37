"""What arrives is what was there: a copy that was damaged is found, written anew, and never named by a row."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from support.driver import condition
from support.places import Place, migrating
from support.proxy import Proxy

pytestmark = pytest.mark.slow


class Damage:
    """Changes a byte of each body that is read of one key, as a bad disk does, as often as told."""

    def __init__(self, key: str, times: int) -> None:
        self.key, self.times, self.read = key, times, 0
        self._lock = threading.Lock()

    def __call__(self, request: Any, data: bytes) -> bytes:
        if request.method != "GET" or request.key != self.key or request.path.partition("?")[2].startswith("tagging"):
            return data
        with self._lock:
            self.read += 1
            hurt = self.read <= self.times
        return bytes([data[0] ^ 1]) + data[1:] if hurt else data


def run(tmp_path: Path, minio: str, damage: Damage, **changes: Any) -> tuple[dict[str, Any], Place, Place]:
    with Proxy(minio, body=damage) as proxy:
        source = Place("minio", minio, through=proxy.url).make()
        destination = Place("minio", minio, through=proxy.url).make()
        for key in ("one", "two", "three"):
            source.put(f"image/{key}")
        with migrating(tmp_path, source, destination, **changes) as driver:
            status = driver.finish()
    return status, source, destination


@pytest.mark.parametrize("guard", ["Strict", "Check"])
def test_content_finds_a_copy_whose_bytes_went_bad_behind_its_etag(minio: str, tmp_path: Path, guard: str) -> None:
    damage = Damage("avatar/two", 10**6)
    status, source, _ = run(tmp_path, minio, damage, verify="Content", guard=guard)
    assert not condition(status, "Complete")
    assert (status["outcomes"]["moved"], status["outcomes"]["failed"]) == (2, 1), status
    assert source.keys("image/") == {"two"}, "the original of what is damaged stays"
    (sample,) = status["samples"]
    assert sample["key"] == "two"
    assert "other bytes than its original" in sample["message"]


def test_etags_alone_do_not_find_it(minio: str, tmp_path: Path) -> None:
    """So that the test before shows what Content adds."""
    damage = Damage("avatar/two", 10**6)
    status, _, _ = run(tmp_path, minio, damage, verify="ETag")
    assert condition(status, "Complete"), status
    assert damage.read == 0


def test_what_was_damaged_once_is_copied_again(minio: str, tmp_path: Path) -> None:
    status, source, destination = run(tmp_path, minio, Damage("avatar/two", 1), verify="Content")
    assert condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 3
    assert source.keys("image/") == set()
    assert destination.body("avatar/two") == b"image/two"


def test_bytes_damaged_on_the_way_are_found_without_being_told_to_look(minio: str, tmp_path: Path) -> None:
    """The worker's GET brings other bytes; the ETag of what it wrote gives it away."""
    damage = Damage("image/two", 1)
    status, source, destination = run(tmp_path, minio, damage, verify="ETag")
    assert condition(status, "Complete"), status
    assert damage.read > 1
    assert destination.body("avatar/two") == b"image/two"
    assert source.keys("image/") == set()
