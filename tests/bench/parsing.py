"""How fast a page of a listing is read: pages as each server writes them, through the workers' parser, on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report
from bench.listing import BUCKET, PREFIX, listed
from bench.ratios import spread
from bench.servers import Place
from bucketops_jobs.s3 import pages

AMOUNT, PAGE, SECONDS = 3000, 1000, 0.5


def run(server: str, rounds: int, cache: Path) -> list[dict[str, Any]]:
    """Keys per second of processor time."""
    with listed(server, cache, AMOUNT) as place:
        body = record(place)
    assert len(pages.parse(body).objects) == PAGE, f"the page of {server} is not read in full"
    rates = [_rate(lambda: pages.parse(body)) for _ in range(rounds)]
    rows = [(server, len(body), spread(rates))]
    report.table(f"a page of {PAGE} keys parsed, {rounds} rounds", ("server", "bytes", "keys/s of one core"), rows)
    return [{"title": "parse", "rows": rows}]


def record(place: Place) -> bytes:
    """A page from the middle of a listing, as the server sends it."""
    bodies: list[bytes] = []
    s3 = place.s3
    s3.meta.events.register(
        "after-call.s3.ListObjectsV2", lambda http_response, **_: bodies.append(http_response.content)
    )
    s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX, MaxKeys=PAGE, EncodingType="url", StartAfter=f"{PREFIX}avatar-1")
    return bodies[0]


def _rate(parse: Callable[[], object]) -> float:
    begin, number = time.process_time(), 0
    while (elapsed := time.process_time() - begin) < SECONDS:
        parse()
        number += 1
    return number * PAGE / elapsed
