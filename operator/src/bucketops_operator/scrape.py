"""Counts of running workers, read from the Prometheus metrics that they serve.

A worker's answer is input: it is bounded in time, bytes and series, and what is not a known, finite count is left out.
Live counts are for people; a pod's result is exact. So an answer that cannot be used is worth a debug line, no more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from bucketops_api import counts, names

DEADLINE = 2.0
"""Seconds within which all workers that are read together must have answered, connecting included."""
MOST_BYTES = 64 << 10
"""Bytes of one answer; a worker's counts need less than a tenth of it."""
MOST_SERIES = 500
"""Counts of one answer; a worker has fewer than a hundred."""
MOST = 2**53
"""A larger value is no count: beyond it a Prometheus sample, a float, does not hold whole numbers exactly."""
_AT_ONCE = 64
_LOG = logging.getLogger(__name__)
_PATH = f"/metrics?{urlencode([('name[]', name) for name in counts.METRICS])}"
"""Asks for the counts alone (prometheus_client's own filter): all that a worker measures is ten times as much."""
_COUNT = re.compile(r"[A-Za-z][A-Za-z0-9/._-]{0,99}")


def live_counts(addresses: Iterable[str], port: int = names.METRICS_PORT) -> dict[str, int]:
    """Return the sum of the counts that workers at these addresses show; one that is late or odd adds nothing."""
    found: dict[str, int] = {}
    for more in asyncio.run(read_all({address: address for address in addresses}, port)).values():
        found = counts.add(found, more)
    return found


async def read_all(addresses: Mapping[str, str], port: int = names.METRICS_PORT) -> dict[str, dict[str, int]]:
    """Return the counts of those workers that answer within DEADLINE, by the keys of `addresses`."""
    slots = asyncio.Semaphore(_AT_ONCE)
    found: dict[str, dict[str, int]] = {}

    async def one(key: str, address: str) -> None:
        async with slots:
            try:
                found[key] = parse(_body(await _fetch(address, port)))
            except Exception as error:  # noqa: BLE001 - whatever a worker answers is that worker's matter
                _LOG.debug("worker metrics not read", extra={"address": address, "error": repr(error)})

    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(one(key, address) for key, address in addresses.items()))
    except TimeoutError:
        _LOG.debug("workers did not answer in time", extra={"workers": len(addresses) - len(found)})
    return found


def parse(text: str) -> dict[str, int]:
    """Return the counts among Prometheus metrics in text form; ValueError if there are more than MOST_SERIES."""
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = counts.from_metric(sample.name, sample.labels)
            if name is not None and _is_count(name, sample.value):
                found[name] = found.get(name, 0) + int(sample.value)
        if len(found) > MOST_SERIES:
            raise ValueError(f"more than {MOST_SERIES} counts")
    return found


def _is_count(name: str, value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= MOST and _COUNT.fullmatch(name) is not None


async def _fetch(address: str, port: int) -> bytes:
    """Return a whole HTTP/1.0 answer, which ends with the connection; ValueError if it is larger than MOST_BYTES."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET {_PATH} HTTP/1.0\r\nHost: worker\r\nAccept: text/plain\r\n\r\n".encode())
        answer = bytearray()
        while part := await reader.read(MOST_BYTES):
            answer += part
            if len(answer) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
        return bytes(answer)
    finally:
        writer.transport.abort()


def _body(answer: bytes) -> str:
    """Return the body of a whole answer with status 200; ValueError for any other."""
    head, end, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not end or not status[0].startswith(b"HTTP/1.") or status[1:2] != [b"200"]:
        raise ValueError("no HTTP answer with status 200")
    length = re.search(rb"(?im)^content-length:\s*(\d+)\s*$", head.replace(b"\r", b""))
    if length and int(length[1]) != len(body):
        raise ValueError("the answer was cut short")
    return body.decode()
