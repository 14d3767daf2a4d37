"""What was begun: one small object per folder, written before its first object goes and removed when none is left.

A crash leaves it behind. The next run then knows a half-deleted folder from one that a team uploads bit by bit.

Whoever may write to the bucket may write such objects too, so a record counts only with a seal: an HMAC with a key that
is derived from the secret key of this retention's own identity, which may delete anyway. The seal covers the place, the
folder and all that is said of it, so that no record can be moved to another folder, bucket or resource.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bucketops_jobs import seal as sealing
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import ItemError, NotFoundError
from bucketops_jobs.records import Records
from bucketops_jobs.retention.folders import Folder

log = logging.getLogger(__name__)

LARGEST = 16 * 1024
"""Bytes of a record; what is larger is none of ours."""
STRANGERS = 1000
"""Records of folders that no listing shows, looked at in one run."""
_PURPOSE = "bucketops S3Retention: folders that were begun"
Json = dict[str, Any]


@dataclass(frozen=True)
class Begun:
    """A folder as it was when its deletion began."""

    path: str
    objects: int
    newest: datetime
    folder: Folder | None = None
    """The whole of it, by a record of ours."""

    def half_deleted(self, folder: Folder) -> bool:
        """Whether a part of it is gone, and nothing has been written to it since."""
        return folder.objects < self.objects and folder.newest <= self.newest


class Seal:
    """Signs what was begun, and tells what was signed. `key` is secret; without one nothing is ever begun."""

    def __init__(self, key: str, place: str) -> None:
        self._seal = sealing.Seal([sealing.Derived(key, _PURPOSE)] if key else [])
        self._place = place

    @property
    def vouches(self) -> bool:
        """Whether there is a key: without one there are no records, and a half-deleted folder is judged as it is."""
        return self._seal.vouches

    def sign(self, content: Json) -> str:
        """The seal of a record's content."""
        return self._seal.sign(self._place, _bytes(content))

    def holds(self, content: Json, seal: object) -> bool:
        """Whether we sealed this very content."""
        return self._seal.holds(self._place, _bytes(content), seal)


class Journal:
    """The folders whose deletion has begun. Objects and versions are counted apart, so each has its own."""

    def __init__(self, records: Records, versions: str, seal: Seal, *, cleans: bool = True) -> None:
        """`cleans`: whether records that are not ours go; a plan's identity may be another one, and leaves them."""
        self._records, self._below, self._seal = records, f"deleting/{versions.lower()}/", seal
        self._cleans = cleans
        self.forged: list[str] = []
        """Keys of records that this identity has not written: they change nothing."""

    def read(self, engine: Engine, paths: Collection[str]) -> Mapping[str, Begun]:
        """What earlier runs have begun and not ended, by path, of these folders and of some that are gone.

        However many records somebody writes, no more are read than there are folders, and a few.
        """
        if not self._seal.vouches:
            return {}
        wanted = {self._records.folder + self._name(path) for path in paths}
        found = engine.every(self._read, list(self._relevant(wanted)))
        self._records.store.remove(self.forged if self._cleans else ())
        return {begun.path: begun for begun in found if begun}

    def begin(self, folder: Folder) -> None:
        """Write down a folder; one that was begun before keeps what it was then."""
        if folder.begun or not self._seal.vouches:
            return
        content = _content(folder)
        self._records.write_json(self._name(folder.path), content | {"seal": self._seal.sign(self._bound(content))})

    def end(self, path: str) -> None:
        """Nothing of the folder is left, or it is another one by now."""
        if self._seal.vouches:
            self._records.store.remove([self._records.folder + self._name(path)])

    def _relevant(self, wanted: Collection[str]) -> Iterator[str]:
        strangers = 0
        for key in self._records.keys(self._below):
            strangers += key not in wanted
            if key in wanted or strangers <= STRANGERS:
                yield key

    def _read(self, key: str) -> Begun | None:
        """The record, if it is ours and lies where we write it; whatever else stands there says nothing."""
        try:
            folder = self._sealed(key)
        except NotFoundError:
            return None
        except (ItemError, ValueError, RecursionError) as error:
            log.warning("a record of a begun folder is not ours", extra={"key": key, "why": str(error)})
            folder = None
        if folder is None or self._records.folder + self._name(folder.path) != key:
            self.forged.append(key)
            return None
        return Begun(folder.path, folder.objects, folder.newest, folder)

    def _sealed(self, key: str) -> Folder | None:
        with self._records.store.get(key).body as body:
            found = json.loads(body.read(LARGEST + 1)[:LARGEST])
        if not isinstance(found, dict):
            return None
        seal = found.pop("seal", "")
        return _folder(found) if self._seal.holds(self._bound(found), seal) else None

    def _bound(self, content: Json) -> Json:
        return {"below": self._below, "record": content}

    def _name(self, path: str) -> str:
        return f"{self._below}{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"


def _bytes(content: Json) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _content(folder: Folder) -> Json:
    return {
        "path": folder.path,
        "objects": folder.objects,
        "bytes": folder.bytes,
        "oldest": folder.oldest.isoformat(),
        "newest": folder.newest.isoformat(),
        "live": [date.isoformat() for date in folder.live] if folder.live else None,
        "marker": folder.marker.isoformat() if folder.marker else None,
    }


def _folder(content: Json) -> Folder:
    """The inverse of `_content`, of what a seal vouches for."""
    oldest, newest = (datetime.fromisoformat(content[name]) for name in ("oldest", "newest"))
    known = [datetime.fromisoformat(date) for date in content.get("live") or ()]
    live = (known[0], known[1]) if known else None
    marker = datetime.fromisoformat(content["marker"]) if content["marker"] else None
    return Folder(content["path"], content["objects"], content["bytes"], oldest, newest, live, marker)


def words(forged: Iterable[str]) -> str:
    """Say that somebody has written records that are not ours; '' where nobody has."""
    found = list(islice(forged, STRANGERS))
    if not found:
        return ""
    return (
        f"{len(found)} records of folders that a run is said to have begun were not written by this identity and "
        f"change nothing (the first: {found[0]}): see who may write below .bucketops/, unless the identity or its key "
        "is another one since"
    )
