"""What one migration in the cluster leaves behind, watched from outside; it serves many tests."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from support.avatars import LEGACY, Reader, World
from support.cluster import Cluster

OBJECTS = 10_000
NATIVE = range(OBJECTS + 1, OBJECTS + 201)
"""Modern avatars that the application wrote itself."""
TWICE = range(1, 21)
"""Avatars that two rows name."""


@dataclass
class Watcher:
    """Looks at the resource, its pods and the legacy bucket all the while."""

    cluster: Cluster
    world: World
    statuses: list[dict[str, Any]] = field(default_factory=list)
    working: list[int] = field(default_factory=list)
    """objectsDone, as seen while worker pods ran."""
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_full: datetime | None = None
    first_gone: datetime | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=run) for run in (self._watch_resource, self._watch_bucket)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch_resource(self) -> None:
        while not self._stop.is_set():
            pods = self.cluster.get("pods")["items"]
            self.pods |= {pod["metadata"]["name"]: pod for pod in pods}
            status = self.cluster.status("s3migration", "avatars")
            self.statuses.append(status)
            if any(pod["status"]["phase"] == "Running" for pod in pods):
                self.working.append(status.get("progress", {}).get("objectsDone", 0))
            time.sleep(0.5)

    def _watch_bucket(self) -> None:
        while not self._stop.is_set() and self.first_gone is None:
            began = datetime.now(UTC)
            if len(self.world.keys(self.world.source, LEGACY)) == OBJECTS:
                self.last_full = began
            else:
                self.first_gone = datetime.now(UTC)
            time.sleep(1)


@dataclass
class Evidence:
    """What one migration left behind."""

    world: World
    native: dict[str, Any]
    watcher: Watcher
    reader: Reader
    status: dict[str, Any]
    waited: str
