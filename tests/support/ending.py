"""How every migration under fire has to end, and who counts what was done twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from support.application import Application
from support.avatars import MODERN, Reader, World, name, picture
from support.driver import condition
from support.proxy import Request


class Copies:
    """How often each object was written to the production place by a worker; a proxy tells of each request."""

    def __init__(self, bucket: str) -> None:
        self.of = Counter[str]()
        self._bucket, self._lock = bucket, threading.Lock()

    def __call__(self, request: Request, status: int) -> None:
        if request.method == "PUT" and request.bucket == self._bucket and request.key.startswith(MODERN):
            with self._lock:
                self.of[request.key] += status == 200

    @property
    def made(self) -> int:
        return self.of.total()

    def repeated(self, application: Application) -> int:
        """Beyond the first of an object, and beyond one for each picture that the application replaced."""
        replaced = {MODERN + name(number) for number in application.replaced}
        return sum(made - 1 - (key in replaced) for key, made in self.of.items() if made > 1)


def expect_nothing_wrong(reader: Reader, *, reads: int = 50) -> None:
    """Readers of the website have looked more often than that, and what they saw was right."""
    assert reader.wrong == []
    assert reader.reads > reads


def expect_the_right_end(
    world: World, status: dict[str, Any], newest: Mapping[int, int], *, rows: int | None = None
) -> None:
    """Every picture is at its new place in its newest version, every row names it, and the counts add up.

    `newest`: by number, the version. `rows`: how many there are, where it is not one for each picture.
    """
    assert condition(status, "Complete"), status
    assert world.keys(world.source) == {}
    assert set(world.keys(world.destination)) == {MODERN + name(n) for n in newest}
    for number, version in newest.items():
        assert world.body(world.destination, MODERN + name(number)) == picture(number, version), number
    paths = world.paths()
    assert set(paths) <= {MODERN + name(n) for n in newest}
    assert len(paths) == len(set(paths)) == (len(newest) if rows is None else rows)
    assert status["outcomes"]["moved"] == sum(status["outcomes"].values()) == len(newest)
    assert status["rowOutcomes"]["rewritten"] == sum(status["rowOutcomes"].values())
    assert status["rowOutcomes"]["rewritten"] >= len(paths)
    assert rows is not None or status["rowOutcomes"]["rewritten"] == len(paths)
    after = status["audit"]["after"]
    assert (after["productionObjects"], after["legacyObjects"], after["danglingRows"]) == (len(newest), 0, 0)
