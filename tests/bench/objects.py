"""The benchmarks that change objects: copy with a change of the prefix, and delete with the listing included."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, count
from urllib.parse import urlsplit

import minio

from bench import seeds
from bench.contenders import CONTENDERS, Command, Task
from bench.servers import Place
from bucketops_api.names import RECORDS_FOLDER
from support.servers import ADMIN, PASSWORD

SOURCE, TARGET, LEGACY, MODERN = "legacy", "modern-%d", "image/", "avatar/"
READ = 20
"""Objects that are read after each run; all are looked at by ETag."""
_numbers = count()


class Copy:
    """`amount` small objects from one bucket and prefix to another, on the server."""

    unit = "objects"

    def __init__(
        self, place: Place, amount: int, *, endpoint: str = "", concurrency: int = 0, folders: Sequence[str] = ("",)
    ) -> None:
        """`endpoint`: a way to the server that is not its own, e.g. one with latency. All folders get equally many."""
        self.title = f"copy {amount:,} objects of {seeds.SIZE:,} bytes on {place.name}"
        self.amount, self.timeout = amount, 60 + amount / 50
        self.endpoint, self.server = endpoint or place.endpoint, place.server.process.pid
        self._place, self._concurrency = place, concurrency
        self._folders, self._each = folders, amount // len(folders)
        self.target = ""
        self.source = f"{SOURCE}-{amount}"
        place.make(self.source)
        for folder in folders:
            place.seed(self.source, LEGACY + folder, self._each)

    def names(self) -> Iterator[str]:
        """All keys below the prefix."""
        return (folder + seeds.name(number) for folder in self._folders for number in range(self._each))

    def reset(self) -> None:
        if self.target:
            self._place.drop(self.target)
        self.target = TARGET % next(_numbers)
        self._place.make(self.target)

    def command(self, contender: str) -> Command:
        task = Task(self.endpoint, f"{self.source}/{LEGACY}", f"{self.target}/{MODERN}", self._concurrency)
        return CONTENDERS[contender].copy(task)

    def verify(self, _: str) -> None:
        each = (seeds.expected(MODERN + folder, self._each) for folder in self._folders)
        require(self._place, self.target, dict(chain.from_iterable(found.items() for found in each)))


class Delete:
    """`amount` small objects of one prefix, found by listing it; a neighbour must survive."""

    unit = "objects"

    def __init__(self, place: Place, amount: int) -> None:
        self.title = f"list and delete {amount:,} objects on {place.name}"
        self.amount, self.timeout = amount, 60 + amount / 50
        self.endpoint, self.server = place.endpoint, place.server.process.pid
        self._place = place
        self.target = ""

    def reset(self) -> None:
        if self.target:
            self._place.drop(self.target)
        self.target = TARGET % next(_numbers)
        self._place.make(self.target)
        self._place.seed(self.target, LEGACY, self.amount)
        self._place.seed(self.target, MODERN, seeds.VARIANTS)

    def command(self, contender: str) -> Command:
        return CONTENDERS[contender].delete(Task(self.endpoint, f"{self.target}/{LEGACY}"))

    def verify(self, _: str) -> None:
        require(self._place, self.target, seeds.expected(MODERN, seeds.VARIANTS))


def require(place: Place, bucket: str, expected: dict[str, str]) -> None:
    """The bucket holds these keys with these ETags and, but for records, no others: so says another client."""
    s3 = minio.Minio(urlsplit(place.endpoint).netloc, ADMIN, PASSWORD, secure=False, region="us-east-1")
    listed = s3.list_objects(bucket, recursive=True)
    found = {
        row.object_name: (row.etag or "").strip('"') for row in listed if RECORDS_FOLDER not in (row.object_name or "")
    }
    wrong = sorted(str(key) for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    assert not wrong, f"{len(found)} objects of {len(expected)}; {len(wrong)} are wrong, such as {wrong[:3]}"
    for key in random.sample(sorted(expected), min(READ, len(expected))):
        with s3.get_object(bucket, key) as answer:
            assert answer.read() == seeds.BODIES[seeds.ETAGS.index(expected[key])], f"{key} has other bytes"
