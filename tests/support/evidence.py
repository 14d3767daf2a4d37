"""What one migration in the cluster leaves behind, watched from outside; it serves many tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from support.avatars import LEGACY, Reader, World
from support.background import Background
from support.cluster import Cluster

OBJECTS = 10_000
NATIVE = range(OBJECTS + 1, OBJECTS + 201)
"""Modern avatars that the application wrote itself."""
TWICE = range(1, 21)
"""Avatars that two rows name."""


class Watcher(Background):
    """Looks at the resource, its pods and the legacy bucket all the while."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        super().__init__(self._watch_resource, self._watch_bucket)
        self.cluster, self.world = cluster, world
        self.statuses: list[dict[str, Any]] = []
        self.working: list[int] = []
        """objectsDone, as seen while worker pods ran."""
        self.pods: dict[str, dict[str, Any]] = {}
        self.last_full: datetime | None = None
        self.first_gone: datetime | None = None

    def done(self) -> int:
        """objectsDone as it was seen last while pods ran."""
        return self.working[-1] if self.working else 0

    def _watch_resource(self) -> None:
        while self.going(0.5):
            pods = self.cluster.get("pods")["items"]
            self.pods |= {pod["metadata"]["name"]: pod for pod in pods}
            status = self.cluster.status("s3migration", "avatars")
            self.statuses.append(status)
            if any(pod["status"]["phase"] == "Running" for pod in pods):
                self.working.append(status.get("progress", {}).get("objectsDone", 0))

    def _watch_bucket(self) -> None:
        while self.going(1) and self.first_gone is None:
            began = datetime.now(UTC)
            if len(self.world.keys(self.world.source, LEGACY)) == OBJECTS:
                self.last_full = began
            else:
                self.first_gone = datetime.now(UTC)


@dataclass
class Evidence:
    """What one migration left behind."""

    world: World
    native: dict[str, Any]
    watcher: Watcher
    reader: Reader
    status: dict[str, Any]
    waited: str
