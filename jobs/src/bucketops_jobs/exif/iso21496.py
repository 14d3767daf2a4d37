"""The numbers of a gain map in the binary form of ISO 21496-1, annex C.

As https://github.com/google/libultrahdr writes them (gainmapmetadata.cpp) and iOS 18 does.
"""

from __future__ import annotations

import struct

SIGNATURE = b"urn:iso:std:iso:ts:21496:-1\x00"
VERSION_ONLY = SIGNATURE + bytes(4)
"""The payload of the primary picture's segment: minimum version 0, writer's version 0."""
_THREE_CHANNELS, _BASE_COLOURS, _COMMON_DENOMINATOR, _BACKWARD = 0x80, 0x40, 0x08, 0x04
_HEAD = 5
"""Bytes: two versions, flags."""


def rebuilt(payload: bytes) -> bytes | None:
    """The payload of a gain map's segment with what is known of it and nothing else; None if it is not whole."""
    data = payload.removeprefix(SIGNATURE)
    if not payload.startswith(SIGNATURE) or len(data) < _HEAD or data[:2] != bytes(2):
        return None
    flags = data[4] & (_THREE_CHANNELS | _BASE_COLOURS | _COMMON_DENOMINATOR | _BACKWARD)
    channels = 3 if flags & _THREE_CHANNELS else 1
    fractions = 2 + 5 * channels
    count = 1 + fractions if flags & _COMMON_DENOMINATOR else 2 * fractions
    numbers = data[_HEAD : _HEAD + 4 * count]
    if len(numbers) < 4 * count:
        return None
    values = struct.unpack(f">{count}I", numbers)
    if 0 in (values[:1] if flags & _COMMON_DENOMINATOR else values[1::2]):  # a denominator
        return None
    return SIGNATURE + bytes(4) + bytes((flags,)) + numbers
