"""A million objects that take no room: keys by number, ETags computed, copies a bit each; all requests counted."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.migration import claim, copy
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.rows import Rows
from bucketops_jobs.pace import Pace
from bucketops_jobs.records import Records
from bucketops_jobs.s3 import listing
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.store import Content, Copy, Object, Page
from bucketops_jobs.tally import Tally

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
SQL = "SELECT 'image/avatar-' || lpad(n::text, 8, '0') || '.png' FROM generate_series(0, {last}) AS n"
"""The paths of all objects, for the rows."""


class Keys(Sequence[str]):
    """avatar-00000000.png and so on, below a prefix."""

    def __init__(self, prefix: str, amount: int) -> None:
        self.prefix, self.amount = prefix, amount

    def __len__(self) -> int:
        return self.amount

    def __getitem__(self, number: Any) -> Any:
        return f"{self.prefix}avatar-{number:08d}.png"

    def number(self, key: str) -> int:
        return int(key[-12:-4])


class Generated:
    """A bucket that holds those of its keys whose bit is set."""

    def __init__(self, bucket: str, keys: Keys, *, there: bool) -> None:
        self.bucket, self._keys = bucket, keys
        self._there = bytearray([there]) * len(keys)
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._claims = FakeStore(FakeServer({bucket: {}}), bucket)

    def keys(self, prefix: str) -> Iterator[str]:
        """Of claims: nothing else lies beside the objects."""
        self._count("LIST")
        return self._claims.keys(prefix)

    def get(self, key: str) -> Content:
        return self._claims.get(key)

    def put(self, *claim: Any) -> str:
        return self._claims.put(*claim)

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def _entry(self, number: int) -> Object:
        etag = hashlib.md5(number.to_bytes(8, "big"), usedforsecurity=False).hexdigest()
        return Object(self._keys[number], etag, 50_000, WHEN)

    def page(self, prefix: str, *, after: str = "", token: str | None = None, limit: int = 1000) -> Page:
        assert prefix == self._keys.prefix
        self._count("LIST")
        found: list[Object] = []
        number = self._there.find(1, bisect_right(self._keys, token or after))
        while number >= 0 and len(found) < limit:
            found.append(self._entry(number))
            number = self._there.find(1, number + 1)
        return Page(found, found[-1].key if number >= 0 else None)

    def list_objects(self, prefix: str, *, after: str = "", until: str | None = None) -> Iterator[Object]:
        return listing.list_objects(self, prefix, after=after, until=until)

    def head(self, key: str) -> Object | None:
        self._count("HEAD")
        number = self._keys.number(key)
        return self._entry(number) if self._there[number] else None

    def copies(self, wanted: Iterable[Copy]) -> Iterator[tuple[Copy, str]]:
        for one in wanted:
            self._count("COPY")
            self._there[self._keys.number(one.key)] = 1
            yield one, one.source.etag


class Journal(FakeStore):
    """Counts what is written, and forgets the journal itself: nothing reads it in a first walk."""

    def __init__(self) -> None:
        super().__init__(FakeServer({"records": {}}), "records")
        self.counts: Counter[str] = Counter()

    def put(self, key: str, body: Any, *args: Any, **options: Any) -> str:
        if not key.endswith((".intent", ".done")):
            return super().put(key, body, *args, **options)
        self.counts["PUT"] += 1
        self.counts["bytes"] += len(body)
        return ""


def run(amount: int, database: dict[str, str], root: Path, concurrency: int = 8) -> tuple[Counter[str], Tally]:
    """The copy phase of one shard with that many objects and a row for each: the requests, and what it counted."""
    mount(root, database)
    source = Generated("legacy", Keys("image/", amount), there=True)
    destination = Generated("production", Keys("avatar/", amount), there=False)
    journal, tally, stop = Journal(), Tally(), threading.Event()
    spec = MigrationSpec.model_validate(SPEC)
    assert spec.database is not None
    plan = Plan(epoch="000001", bounds=(), capabilities=CAN, dangling=())
    records = Records(journal, ".bucketops/x/")
    what = {"kind": "S3Migration", "phase": "copy", "namespace": "a", "name": "b", "run": "b-1-copy", "spec": {}}
    order = RunSpec.model_validate(what | {"plan": records.write_json("plan.json", plan.model_dump(mode="json"))})
    rows = Rows(spec.database, root, "image/", "avatar/")
    stores: Any = (source, destination, records)
    in_scope: Callable[[str], bool] = lambda _: True  # noqa: E731
    with Engine(Pace(concurrency, None, stop), concurrency) as engine:
        context = Context(order, spec, 0, *stores, rows, engine, tally, in_scope)
        claim.take(context)
        copy.run(context)
    rows.close()
    lists = Counter({"LIST": source.counts["LIST"] + destination.counts["LIST"]})
    copies = Counter({name: destination.counts[name] + source.counts[name] for name in ("COPY", "HEAD")})
    return lists + copies + journal.counts, tally


CAN = Capabilities(copy_if_absent=True, put_if_absent=True, delete_if_match=True)
"""As AWS."""
SPEC = {
    "mode": "Apply",
    "source": {"bucket": "legacy", "prefix": "image/"},
    "destination": {"bucket": "production", "prefix": "avatar/"},
    "database": {
        "credentials": {"secretRef": {"name": "avatars-db"}},
        "references": [{"table": "avatars", "key": "id", "column": "path"}],
    },
}


def mount(root: Path, database: dict[str, str]) -> None:
    folder = root / names.SECRETS_DIR / "avatars-db"
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in database.items():
        (folder / key).write_text(value)
