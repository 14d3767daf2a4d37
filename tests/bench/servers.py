"""The S3 servers of the benchmarks: each can be given buckets full of objects in seconds, behind its own back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import clones, seeds
from support.avatars import s3_client
from support.servers import ADMIN, PASSWORD, Server, built, free_port, start, start_minio, start_versitygw

CREDENTIALS = {"AWS_ACCESS_KEY_ID": ADMIN, "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_REGION": "us-east-1"}


@dataclass
class Place:
    """A running server."""

    name: str
    server: Server
    folder: Path
    fill: Callable[[Place, str, str, int], None]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def s3(self) -> Any:
        return s3_client(self.endpoint, ADMIN, PASSWORD)

    def make(self, bucket: str) -> None:
        self.s3.create_bucket(Bucket=bucket)

    def seed(self, bucket: str, prefix: str, count: int) -> None:
        """`count` objects below a prefix of a bucket that is there."""
        self.fill(self, bucket, prefix, count)

    def drop(self, bucket: str) -> None:
        """Take a bucket out of a server's memory. On a disk it stays until the whole folder goes.

        After many deletions ext4 searches long for each new inode: it passes over those that were free for less than
        one to six minutes (recently_deleted in https://github.com/torvalds/linux/blob/master/fs/ext4/ialloc.c), which
        made a copy a third dearer for whoever came next.
        """
        if self.name == "gofakes3":
            s3 = self.s3
            s3.meta.events.register("before-sign.s3.DeleteBucket", _force)
            with suppress(s3.exceptions.NoSuchBucket):  # it says so once it has deleted it
                s3.delete_bucket(Bucket=bucket)


def _force(request: Any, **_: object) -> None:
    """MinIO's way to remove a bucket that is not empty, which gofakes3 has too."""
    request.headers["x-minio-force-delete"] = "true"


def _fill_gofakes3(place: Place, bucket: str, prefix: str, count: int) -> None:
    ask(place, "seed", bucket=bucket, pattern=prefix + seeds.PATTERN, objects=count)


def _fill_with(clone: Callable[[Path, int], None]) -> Callable[[Place, str, str, int], None]:
    def fill(place: Place, bucket: str, prefix: str, count: int) -> None:
        """One object of each variant through the server, the others as clones of these in its folder."""
        for number, content in enumerate(seeds.BODIES):
            key = prefix + seeds.name(number)
            place.s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="image/png")
        clone(place.folder / "data" / bucket / prefix, count)

    return fill


def ask(place: Place, what: str, **parameters: object) -> None:
    """Tell our gofakes3 to change: `seed` or `capacity`."""
    url = f"{place.endpoint}/-/{what}?{urlencode(parameters)}"
    with urllib.request.urlopen(urllib.request.Request(url, method="PUT")):  # noqa: S310 - our own server
        pass


def stats(place: Place) -> dict[str, int]:
    """What our gofakes3 has seen so far: inFlight, accepted, refused."""
    with urllib.request.urlopen(f"{place.endpoint}/-/stats") as answer:  # noqa: S310 - our own server
        return dict(json.load(answer))


def start_gofakes3(folder: Path, *options: str) -> Server:
    """S3 in memory."""
    port, contents = free_port(), seeds.write(folder / "contents")
    command: list[str | Path] = [built("gofakes3"), "-address", f"127.0.0.1:{port}", "-contents", contents, *options]
    return start(command, port, "/-/stats", folder / "gofakes3.log")


def _start_minio(folder: Path) -> Server:
    """Without its scanner, which would walk the folders of a million keys in the middle of a round."""
    return start_minio(folder, MINIO_SCANNER_SPEED="slowest")


STARTERS: Mapping[str, tuple[Callable[..., Server], Callable[[Place, str, str, int], None]]] = {
    "gofakes3": (start_gofakes3, _fill_gofakes3),
    "minio": (_start_minio, _fill_with(clones.minio)),
    "versitygw": (start_versitygw, _fill_with(clones.versitygw)),
}


@contextmanager
def serving(name: str, folder: Path, *options: str) -> Iterator[Place]:
    """A server with its data in a folder; what is in it already stays. `options` are gofakes3's."""
    folder.mkdir(parents=True, exist_ok=True)
    starter, fill = STARTERS[name]
    place = Place(name, starter(folder, *options), folder, fill)
    try:
        yield place
    finally:
        place.server.stop()
