"""Journal and report parts: small JSON artifacts under `.bucketops/`, known by name and digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from bucketops_api import names
from bucketops_api.contract import Artifact
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.errors import DeniedError, ItemError, NotFoundError, UserError
from bucketops_jobs.s3.listing import pages
from bucketops_jobs.s3.store import Store
from bucketops_jobs.seal import Seal

_LINE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""json.dumps would make an encoder for each line: a third of its time."""


LARGEST_FILE, LONGEST_LINE = 128 << 20, 32 << 20
"""Bytes of a file of lines as it is stored, and of one line of it."""
LARGEST_NOTE = 16 << 20
"""Bytes of a record that one object holds: the bounds of 10,000 shards are the largest."""
DAMAGED = (ArithmeticError, EOFError, LookupError, OSError, RecursionError, TypeError, ValueError, zlib.error)
"""What reading records ends with where somebody else has written them."""
_HEAD, _LARGEST_HEAD = re.compile(rb'\{"seals":"([0-9a-f ]*)"\}\n'), 2048
"""The first line of a sealed file, a gzip member of its own: what follows it is sealed as it is stored."""
_GZIP = 31
"""zlib's `wbits` for gzip with a header."""


class Records:
    """The folder of one resource under `.bucketops/`."""

    def __init__(self, store: Store, folder: str, seal: Seal | None = None) -> None:
        """`seal`: of the records that decide anything; without its key they are neither sealed nor doubted."""
        self.store = store
        self.folder = folder
        self.seal = seal or Seal()

    def write_json(self, name: str, content: Any) -> Artifact:  # noqa: ANN401 - JSON
        """Write an artifact; its digest lets a later phase see that it reads what was meant."""
        data = json.dumps(content, separators=(",", ":")).encode()
        self.store.put(self.folder + name, data, {"content-type": "application/json"})
        return Artifact(key=self.folder + name, sha256=hashlib.sha256(data).hexdigest())

    def read_json(self, artifact: Artifact) -> Any:  # noqa: ANN401 - JSON
        """Read it again; UserError when somebody changed or removed it."""
        try:
            with self.store.get(artifact.key).body as body:
                data = body.read()
        except ItemError as error:
            raise UserError(Reason.CONTRACT_MISMATCH, f"the plan is gone: {error}; set a new trigger") from error
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise UserError(
                Reason.CONTRACT_MISMATCH, f"{artifact.key} was changed after it was written; set a new trigger"
            )
        return json.loads(data)

    def note(self, name: str) -> dict[str, Any]:
        """The content of a small record by its name; empty where there is none, or none that can be ours."""
        try:
            with self.store.get(self.folder + name).body as body:
                found = json.loads(body.read(LARGEST_NOTE + 1))
        except (NotFoundError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_lines(self, name: str, lines: Iterable[Any]) -> None:
        """Write JSON lines, gzipped."""
        self._put_lines(name, _packed(lines))

    def write_sealed(self, name: str, lines: Iterable[Any]) -> None:
        """Write JSON lines, gzipped, that count as ours alone, and under this name alone."""
        body = _packed(lines)
        head = [{"seals": self.seal.sign(self.folder + name, body)}] if self.seal.vouches else []
        self._put_lines(name, (_packed(head) if head else b"") + body)

    def _put_lines(self, name: str, body: bytes) -> None:
        self.store.put(self.folder + name, body, {"content-type": "application/x-ndjson", "content-encoding": "gzip"})

    def read_lines(self, key: str) -> Iterator[Any]:
        """Read them again, by the full key; one of DAMAGED where these are not the lines that we wrote.

        Others may write there too, so neither the file nor a line may fill the memory.
        """
        yield from _lines(key, self._data(key))

    def read_sealed(self, key: str) -> Iterator[Any] | None:
        """Read what `write_sealed` wrote, by the full key; None for what no key of ours has sealed at this place.

        Nothing is unpacked before its seal is found to be ours.
        """
        if not self.seal.vouches:
            return _lines(key, _opened(self._data(key))[1])
        try:
            seals, body = _opened(self._data(key))
        except DeniedError:
            raise
        except ItemError:  # gone, or kept in a way that we never keep anything
            return None
        return _lines(key, body) if self.seal.holds(key, body, seals) else None

    def _data(self, key: str) -> bytes:
        with self.store.get(key).body as body:
            return body.read(LARGEST_FILE + 1)

    def newest(self, below: str) -> datetime | None:
        """When the last of the records below a name was written; None: there is none."""
        found = pages(self.store, self.folder + below)
        return max((entry.modified for page in found for entry in page.objects), default=None)

    def keys(self, below: str) -> Iterator[str]:
        """Full keys of the records below a name, in order."""
        return self.store.keys(self.folder + below)


def _packed(lines: Iterable[Any]) -> bytes:
    text = "".join(_LINE(line) + "\n" for line in lines)
    return gzip.compress(text.encode(), compresslevel=1, mtime=0)


def _opened(data: bytes) -> tuple[str, bytes]:
    """The seals of a file, and what they are about; '' and the whole of it where it has none."""
    head = zlib.decompressobj(wbits=_GZIP)
    try:
        line = _HEAD.fullmatch(head.decompress(data, _LARGEST_HEAD))
    except zlib.error:
        return "", data
    return (line[1].decode(), head.unused_data) if line and head.eof else ("", data)


def _lines(key: str, data: bytes) -> Iterator[Any]:
    if len(data) > LARGEST_FILE:
        raise ValueError(f"{key} is larger than {LARGEST_FILE >> 20} MiB: none of our records is")
    lines = gzip.GzipFile(fileobj=io.BytesIO(data))
    while line := lines.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{key} has a line of more than {LONGEST_LINE >> 20} MiB: none of our records has")
        yield json.loads(line)


def folder(ref: BucketRef | None, kind: str, namespace: str, name: str, place: str) -> str:
    """Where a resource's records lie: `.bucketops/<kind>/<namespace>/<name>/<digest of the place>/`."""
    prefix = ref.prefix if ref else ""
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return f"{prefix}{names.RECORDS_FOLDER}{kind.lower()}/{namespace}/{name}/{digest}/"
