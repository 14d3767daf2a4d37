"""Turns a picture upright without loss: its coefficients change places, and nothing is decoded into pixels.

jpegtran of libjpeg-turbo does it, in a process of its own (docs/decisions/0007-jpegtran-in-a-process-of-its-own.md).
The header stays the one that was checked; of jpegtran's output only the coded image is taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import BinaryIO, cast

from bucketops_jobs.exif import metadata, tables
from bucketops_jobs.exif.frame import TRANSPOSING, Frame
from bucketops_jobs.exif.header import segment
from bucketops_jobs.exif.verdict import RefusedError

PROGRAM = "jpegtran"
HOW_TO_GET_IT = (
    "jpegtran on the PATH: install libjpeg-turbo-progs (Debian), libjpeg-turbo-utils (Fedora) or jpeg-turbo (Homebrew)"
)
MOST_BYTES = 256 << 20
"""Of coefficients that all rotations of a process may hold at once: half of a pod's default memory limit."""
_ARRAYS = 2
"""jpegtran holds the coefficients as they were and as they shall be."""
_BESIDES = 8 << 20
"""Bytes that it needs for everything else."""
_MOST_SCANS = 200
"""Progressive pictures have about ten. Each one is a walk over all coefficients: small files can ask for hours."""
_SECONDS = 120
_IN_MEMORY = 1 << 20
_BLOCK = 512 << 10
_TURNS = {
    2: ("-flip", "horizontal"),
    3: ("-rotate", "180"),
    4: ("-flip", "vertical"),
    5: ("-transpose",),
    6: ("-rotate", "90"),
    7: ("-transverse",),
    8: ("-rotate", "270"),
}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_BITS = 8
_MOST_COMPONENTS = 4
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
Segment = tuple[int, bytes]


class Obstacle(StrEnum):
    """Why a picture is not turned; told as a loss, and the orientation is kept."""

    IMPERFECT = "rotation_imperfect"
    UNSUPPORTED = "rotation_unsupported"
    TOO_LARGE = "rotation_too_large"
    FAILED = "rotation_failed"


class ObstacleError(Exception):
    """The picture cannot be turned without loss."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle


class Room:
    """Rotations wait until those before them leave enough memory."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """In the order of asking, so that a large picture gets its turn."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


_ROOM = Room(MOST_BYTES)


def program() -> str | None:
    """Where jpegtran is; None: it has to be installed (Debian: libjpeg-turbo-progs)."""
    return shutil.which(PROGRAM)


def turn(pictures: list[BinaryIO], orientation: int) -> list[int]:
    """Turn clean pictures as their orientation (2 to 8) says, in their own files; the CRC-32 of their coded images.

    JFIF, profile and APP14 stay; the orientation goes. ObstacleError where one of them would not be exactly the same
    picture: then all are as they were. OSError if there is no jpegtran.
    """
    with ExitStack() as stack:
        files = [cast("BinaryIO", stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))) for _ in pictures]
        sums = [_upright(picture, orientation, file) for picture, file in zip(pictures, files, strict=True)]
        for picture, file in zip(pictures, files, strict=True):
            picture.seek(0)
            picture.truncate()
            file.seek(0)
            shutil.copyfileobj(file, picture, _BLOCK)
    return sums


def _upright(picture: BinaryIO, orientation: int, result: BinaryIO) -> int:
    picture.seek(0)
    head = list(_head(picture))
    frame = _frame(head)
    needed = _ARRAYS * frame.coefficient_bytes() + _BESIDES
    if frame.marker not in {_BASELINE, _EXTENDED, _PROGRESSIVE} or not _is_common(frame):
        raise ObstacleError(Obstacle.UNSUPPORTED)
    if not frame.can_be_turned(orientation):
        raise ObstacleError(Obstacle.IMPERFECT)
    if needed > MOST_BYTES:
        raise ObstacleError(Obstacle.TOO_LARGE)
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as turned:
        picture.seek(0)
        shutil.copyfileobj(picture, source, _BLOCK)
        with _ROOM.take(needed):
            _run(source, turned, orientation, frame, needed)
        result.write(_SOI + b"".join(_front(head, orientation)))
        return _append(result, turned, frame.turned(orientation))


def _is_common(frame: Frame) -> bool:
    """What jpegtran turns: 8 bits, up to four components, a height in the frame itself."""
    known = 1 <= len(frame.components) <= _MOST_COMPONENTS and frame.coefficient_bytes() > 0
    return known and frame.precision == _BITS


def _run(source: BinaryIO, turned: BinaryIO, orientation: int, frame: Frame, memory: int) -> None:
    """ObstacleError unless jpegtran ends well and without any warning."""
    source.seek(0)
    coding = "-progressive" if frame.marker == _PROGRESSIVE else "-optimize"
    limits = ("-strict", "-perfect", "-maxmemory", str(memory // 1000), "-maxscans", str(_MOST_SCANS))
    try:
        done = subprocess.run(  # noqa: S603 - no word of the command comes from the picture
            [program() or PROGRAM, "-copy", "none", coding, *limits, *_TURNS[orientation]],
            stdin=source,
            stdout=turned,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ObstacleError(Obstacle.FAILED) from error
    if done.returncode:
        raise ObstacleError(Obstacle.FAILED)


def _append(result: BinaryIO, turned: BinaryIO, wanted: Frame) -> int:
    """Write the coded image of `turned`, which must be of the shape that is `wanted`; its CRC-32."""
    left = max(0, turned.seek(0, os.SEEK_END) - len(_EOI))
    turned.seek(left)
    ends = turned.read() == _EOI
    turned.seek(0)
    head = [(marker, payload) for marker, payload in _head(turned) if not metadata.is_metadata(marker)]
    if not ends or not wanted.is_alike(_frame(head)):
        raise ObstacleError(Obstacle.FAILED)
    left -= turned.tell()
    block = b"".join(segment(*part) for part in head)
    crc = 0
    while block:
        crc = zlib.crc32(block, crc)
        result.write(block)
        block = turned.read(min(_BLOCK, left))
        left -= len(block)
    result.write(_EOI)
    return crc


def _front(head: list[Segment], orientation: int) -> Iterator[bytes]:
    """What stands before the coded image, but for the orientation."""
    for marker, payload in head:
        if marker == metadata.APP0 and orientation in TRANSPOSING:
            yield segment(
                marker, payload[:8] + payload[10:12] + payload[8:10] + payload[12:]
            )  # density across and down
        elif metadata.is_metadata(marker) and marker != metadata.APP1:
            yield segment(marker, payload)


def _head(picture: BinaryIO) -> Iterator[Segment]:
    """The segments before the first scan; `picture` then stands at its marker."""
    picture.read(len(_SOI))
    while (start := picture.read(4))[:1] == b"\xff" and start[1] != tables.SOS:
        yield start[1], picture.read(max(0, int.from_bytes(start[2:]) - 2))
    picture.seek(-len(start), os.SEEK_CUR)


def _frame(head: list[Segment]) -> Frame:
    """The walk has seen to it that a source has one; jpegtran's output is looked at as if anybody had written it."""
    try:
        for marker, payload in head:
            if marker in tables.SOF:
                tables.check(marker, payload)
                return Frame.read(marker, payload)
    except RefusedError as error:
        raise ObstacleError(Obstacle.FAILED) from error
    raise ObstacleError(Obstacle.FAILED)
