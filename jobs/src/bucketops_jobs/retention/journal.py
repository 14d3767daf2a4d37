"""What was begun: one small object per folder, written before its first object goes and removed when none is left.

A crash leaves it behind. The next run then knows a half-deleted folder from one that a team uploads bit by bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import NotFoundError
from bucketops_jobs.records import Records
from bucketops_jobs.retention.folders import Folder


@dataclass(frozen=True)
class Begun:
    """A folder as it was when its deletion began."""

    path: str
    objects: int
    newest: datetime

    def half_deleted(self, folder: Folder) -> bool:
        """Whether a part of it is gone, and nothing has been written to it since."""
        return folder.objects < self.objects and folder.newest <= self.newest


class Journal:
    """The folders whose deletion has begun. Objects and versions are counted apart, so each has its own."""

    def __init__(self, records: Records, versions: str) -> None:
        self._records, self._below = records, f"deleting/{versions.lower()}/"

    def read(self, engine: Engine) -> Mapping[str, Begun]:
        """What earlier runs have begun and not ended, by path."""
        keys = list(self._records.keys(self._below))
        return {begun.path: begun for begun in engine.every(self._read, keys) if begun}

    def begin(self, folder: Folder) -> None:
        """Write down a folder; one that was begun before keeps what it was then."""
        if folder.begun:
            return
        content = {"path": folder.path, "objects": folder.objects, "newest": folder.newest.isoformat()}
        self._records.write_json(self._name(folder.path), content)

    def end(self, path: str) -> None:
        """Nothing of the folder is left, or it is another one by now."""
        self._records.store.remove([self._records.folder + self._name(path)])

    def _read(self, key: str) -> Begun | None:
        try:
            with self._records.store.get(key).body as body:
                found = json.loads(body.read())
        except NotFoundError:
            return None
        return Begun(found["path"], found["objects"], datetime.fromisoformat(found["newest"]))

    def _name(self, path: str) -> str:
        return f"{self._below}{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"
