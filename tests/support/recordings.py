"""Pages of ListObjectsV2 as real servers answer them, kept in tests/data/pages: `python -m support.recordings`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.servers import start_gofakes3
from support.avatars import s3_client
from support.servers import ADMIN, PASSWORD, Server, free_port, start, start_minio, start_versitygw

FOLDER = Path(__file__).parents[1] / "data" / "pages"
KEYS = sorted(
    ["p/a b", "p/a+b", "p/a%20b", "p/a/b", "p/é", "p/日本", "p/🙂.png", "p/q?x=1&y=2", "p/~'()!*", 'p/<x>&"', "p/z"],
    key=str.encode,
)
REQUESTS: dict[str, dict[str, Any]] = {
    "first": {"EncodingType": "url", "MaxKeys": 5},
    "whole": {"EncodingType": "url"},
    "empty": {"EncodingType": "url", "Prefix": "nothing"},
    "plain": {"MaxKeys": 9},
    "owners": {"EncodingType": "url", "FetchOwner": True},
}


def start_moto(folder: Path) -> Server:
    """moto, from this environment or from the PATH."""
    own = Path(sys.executable).with_name("moto_server")
    command = str(own) if own.exists() else shutil.which("moto_server")
    if command is None:
        raise FileNotFoundError("moto_server is not installed")
    port = free_port()
    return start([command, "-p", str(port)], port, "/moto-api/data.json", folder / "moto.log")


STARTERS: dict[str, Callable[[Path], Server]] = {
    "minio": start_minio,
    "versitygw": start_versitygw,
    "gofakes3": start_gofakes3,
    "moto": start_moto,
}


def raw(client: Any, **request: Any) -> bytes:
    """The body of one answer, as it came."""
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.s3.ListObjectsV2",
        lambda response_dict, **_: bodies.append(response_dict["body"]),
        unique_id="raw",
    )
    client.list_objects_v2(**request)
    client.meta.events.unregister("before-parse.s3.ListObjectsV2", unique_id="raw")
    return bodies[0]


def record(name: str, client: Any) -> None:
    """Ask one server for each kind of page."""
    client.create_bucket(Bucket="pages")
    for key in KEYS:
        client.put_object(Bucket="pages", Key=key, Body=key.encode())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, request in REQUESTS.items():
        page = raw(client, **{"Bucket": "pages", "Prefix": "p/"} | request)
        (FOLDER / f"{name}-{kind}.xml").write_bytes(page)


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Any]:
    """A client of a fresh server."""
    folder.mkdir(parents=True)
    server = STARTERS[name](folder)
    try:
        yield s3_client(f"http://127.0.0.1:{server.port}", ADMIN, PASSWORD)
    finally:
        server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:  # versitygw needs extended attributes
        for name in STARTERS:
            try:
                with serving(name, Path(folder, name)) as client:
                    record(name, client)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                print(f"{name} is not available: {error}")


if __name__ == "__main__":
    main()
