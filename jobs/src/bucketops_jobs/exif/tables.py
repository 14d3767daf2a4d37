"""Tables, frames and scans must have exactly the length that their fields say: no room for anything else.

T.81, B.2. libjpeg refuses what is refused here.
"""

from __future__ import annotations

from bucketops_jobs.exif.verdict import Refusal, RefusedError

SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB}
"""Frames of baseline, extended, progressive and lossless pictures, Huffman and arithmetic coding."""
DHT, DAC, SOI, EOI, SOS, DQT, DNL, DRI = 0xC4, 0xCC, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD
UNSUPPORTED = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF} | {0xC8} | set(range(0xF0, 0xFE))
"""Hierarchical pictures (differential frames, DHP, EXP), JPEG-LS, other extensions: libjpeg knows none of them."""
MOST_COMPONENTS = 10
"""As in libjpeg (MAX_COMPONENTS)."""
_MOST_IN_SCAN = 4
_MOST_CODES = 256


def check(marker: int, payload: bytes) -> None:
    """RefusedError unless `payload` (without its length field) is a whole segment of this kind and nothing more."""
    valid = marker in SOF and _is_frame(payload)
    if not (valid or (marker in _CHECKS and _CHECKS[marker](payload))):
        raise RefusedError(
            Refusal.CORRUPT_SEGMENT, f"the length of segment FF{marker:02X} is not the one that its fields say"
        )


def _is_frame(payload: bytes) -> bool:
    count = payload[5] if len(payload) > 5 else 0  # noqa: PLR2004 - precision, height, width, then the count
    width = payload[3:5]
    return 1 <= count <= MOST_COMPONENTS and any(width) and len(payload) == 6 + 3 * count


def _is_scan(payload: bytes) -> bool:
    return payload != b"" and 1 <= payload[0] <= _MOST_IN_SCAN and len(payload) == 4 + 2 * payload[0]


def _are_quantization_tables(payload: bytes) -> bool:
    at = 0
    while at < len(payload):
        precision, number = divmod(payload[at], 16)
        if precision > 1 or number > 3:  # noqa: PLR2004 - 8 or 16 bits, four tables
            return False
        at += 1 + 64 * (1 + precision)
    return at == len(payload) > 0


def _are_huffman_tables(payload: bytes) -> bool:
    at = 0
    while at < len(payload):
        kind, number = divmod(payload[at], 16)
        codes = sum(payload[at + 1 : at + 17])
        if kind > 1 or number > 3 or codes > _MOST_CODES:  # noqa: PLR2004 - DC or AC, four tables
            return False
        at += 17 + codes
    return at == len(payload) > 0


def _are_conditionings(payload: bytes) -> bool:
    return len(payload) % 2 == 0 and all(number < 0x20 for number in payload[::2])  # noqa: PLR2004 - DC and AC, 16 each


def _is_number(payload: bytes) -> bool:
    return len(payload) == 2  # noqa: PLR2004 - restart interval, or number of lines


_CHECKS = {
    SOS: _is_scan,
    DQT: _are_quantization_tables,
    DHT: _are_huffman_tables,
    DAC: _are_conditionings,
    DRI: _is_number,
    DNL: _is_number,
}
TABLES = {DQT, DHT, DAC, DRI}
