"""Bodies of answers that other HTTP clients than ours read, up to a bound in bytes and in time."""

from __future__ import annotations

import time
from typing import Any

from urllib3.exceptions import ProtocolError

from bucketops_jobs.s3.connection import LONGEST_ANSWER
from bucketops_jobs.s3.http import ANSWER_SECONDS

_BLOCK = 64 << 10
"""Bytes."""


def body(raw: Any) -> bytes:  # noqa: ANN401 - urllib3's response
    """Return a body of at most LONGEST_ANSWER bytes; ProtocolError, or another of urllib3's, where there is none."""
    found, until = bytearray(), time.monotonic() + 2 * ANSWER_SECONDS
    while block := raw.read1(_BLOCK):
        found += block
        if len(found) > LONGEST_ANSWER or time.monotonic() > until:
            raw.close()
            raise ProtocolError(f"the answer has more than {LONGEST_ANSWER} bytes, or no end")
    return bytes(found)
