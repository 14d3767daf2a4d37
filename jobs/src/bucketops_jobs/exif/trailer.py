"""What stands behind the picture: always cut, named for people."""

from __future__ import annotations

import struct

_ENTRY = 12


def kind(head: bytes, tail: bytes) -> str:
    """A name for a trailer by its first and last bytes."""
    if tail.endswith(b"SEFT"):
        return "trailer_samsung"
    if head[4:8] == b"ftyp" or b"ftypmp4" in head or b"ftypisom" in head:
        return "trailer_video"
    if head.startswith(b"\xff\xd8\xff"):
        return "trailer_jpeg"
    return "trailer"


def samsung(tail: bytes, size: int) -> int | None:
    """Where in a source of `size` bytes the Samsung trailer begins, if its last bytes `tail` are the end of one.

    The directory there (`SEFH` … `SEFT`) tells how far back its entries lie.
    Some panoramas lack the EOI marker, so that the trailer would look like a part of the scan
    (https://github.com/libjpeg-turbo/libjpeg-turbo/issues/163; the format: exiftool's Samsung.pm).
    """
    if len(tail) < 8 or not tail.endswith(b"SEFT"):  # noqa: PLR2004 - the length of the directory, then SEFT
        return None
    (length,) = struct.unpack_from("<I", tail, len(tail) - 8)
    directory = tail[-8 - length : -8]
    if len(directory) != length or not directory.startswith(b"SEFH") or length < _ENTRY:
        return None
    (count,) = struct.unpack_from("<I", directory, 8)
    entries = range(_ENTRY, min(_ENTRY * (count + 1), length - _ENTRY + 1), _ENTRY)
    farthest = max((struct.unpack_from("<I", directory, at + 4)[0] for at in entries), default=0)
    start = size - 8 - length - farthest
    return start if start > 0 else None
