"""Whole migrations of bodies by real workers between MinIOs: one object beyond 5 GiB, and many that are streamed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report
from bench.servers import serving
from support.driver import Driver, condition, ended
from support.places import Place, migrating
from support.proxy import Answer, Proxy, Request

MIB = 1 << 20
LARGE = 5 * 1024 * MIB + 300 * MIB
PART = 64 * MIB
"""Bytes of the large object and of the parts that it was uploaded in."""
SIZES = [1, 4, 7, 9, 15, 20, 33, 45, 60]
"""MiB of the objects that are streamed."""
UPLOADED_IN = [0, 8, 17]
"""MiB of their parts: 0 is one PUT; parts above 16 MiB pass through a file."""
CONCURRENCY = 32


@dataclass(frozen=True)
class Moved:
    """Seconds and peak resident MiB of the worker, by phase."""

    seconds: dict[str, float]
    memory: dict[str, float]


def large(folder: Path) -> list[dict[str, Any]]:
    """One object of 5.3 GiB: copied by its own server, then streamed to another one."""
    rows: list[Sequence[object]] = []
    with serving("minio", folder / "one") as one, serving("minio", folder / "other") as other:
        source = Place("minio", one.endpoint).make()
        _upload(source, "image/large", LARGE, PART)
        calls: Counter[str] = Counter()
        with Proxy(one.endpoint, rule=_counting(calls)) as proxy:
            source.through = proxy.url
            rows.append(_row("copied by the server", _moved(folder, source, source), calls))
            _require_large(source)
        source.through = ""
        source.s3.delete_object(Bucket=source.bucket, Key="avatar/large")
        destination = Place("minio", other.endpoint).make()
        rows.append(_row("streamed to another server", _moved(folder, source, destination), {}))
        _require_large(destination)
    heads = ("one object of 5.3 GiB", "copy phase s", "peak MiB", "calls for its key")
    report.table("beyond 5 GiB", heads, rows)
    return [{"title": "large", "heads": heads, "rows": rows}]


def streamed(amount: int, folder: Path) -> list[dict[str, Any]]:
    """`amount` objects of 1 to 60 MiB from one server to another, 32 at a time: what does the worker hold of them?"""
    with serving("minio", folder / "one") as one, serving("minio", folder / "other") as other:
        source, destination = Place("minio", one.endpoint).make(), Place("minio", other.endpoint).make()
        source.put("image/small")
        base = _moved(folder / "base", source, destination)
        for number in range(amount):
            size, each = SIZES[number % len(SIZES)] * MIB, UPLOADED_IN[number // len(SIZES) % len(UPLOADED_IN)]
            _upload(source, f"image/{number}", size, each * MIB)
        moved = _moved(folder / "bodies", source, destination)
        found = source.keys("image/") - destination.keys("avatar/")
        if found:
            raise SystemExit(f"not all arrived: {sorted(found)}")
    heads = ("", "copy phase s", "peak MiB")
    rows = [_row("one small object", base)[:3], _row(f"{amount} objects, {CONCURRENCY} at a time", moved)[:3]]
    report.table("streamed between servers", heads, rows)
    return [{"title": "streamed", "heads": heads, "rows": rows}]


def _upload(place: Place, key: str, size: int, each: int) -> None:
    """Zeros, in parts of `each` bytes or, for 0, as one PUT."""
    if each:
        place.put_in_parts(key, *_pieces(size, each))
    else:
        place.put(key, bytes(size))


def _pieces(size: int, each: int) -> Iterable[bytes]:
    block = bytes(each)
    return (block[: min(each, size - first)] for first in range(0, size, each))


def _moved(folder: Path, source: Place, destination: Place) -> Moved:
    """The originals are kept; the work must be complete."""
    began: dict[str, float] = {}
    peaks: Counter[str] = Counter()
    folder.mkdir(parents=True, exist_ok=True)
    worker = {"parallelism": 1, "shards": 1, "concurrency": CONCURRENCY}
    options = {"worker": worker, "cleanup": {"policy": "Retain"}}
    with migrating(folder, source, destination, processes=True, **options) as driver:

        def watched(status: dict[str, Any]) -> bool:
            for phase, memory in _now(driver, status):
                began.setdefault(phase, time.monotonic())
                peaks[phase] = max(peaks[phase], memory)
            return ended(status)

        status = driver.until(watched, 3600)
    if not condition(status, "Complete"):
        raise SystemExit(f"not complete: {status}")
    ends = [*list(began.values())[1:], time.monotonic()]
    seconds = {phase: end - begin for (phase, begin), end in zip(began.items(), ends, strict=True)}
    return Moved(seconds, {phase: memory / 1024 for phase, memory in peaks.items()})


def _now(driver: Driver, status: dict[str, Any]) -> Iterable[tuple[str, int]]:
    """The phase under way and the highest resident KiB so far of each of its workers."""
    for run in status.get("runs", ())[-1:]:
        for pid in driver.local.processes(run["id"]):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:  # it has just ended
                continue
            yield from ((run["phase"], int(line.split()[1])) for line in lines if line.startswith("VmHWM:"))


def _counting(calls: Counter[str]) -> Callable[[Request], Answer | None]:
    def rule(request: Request) -> Answer | None:
        if request.key.endswith("/large") or "/large?" in request.path:
            copied = "-Copy" if "x-amz-copy-source" in {name.lower() for name in request.headers} else ""
            query = request.path.partition("?")[2].partition("=")[0]
            calls[f"{request.method}{copied} {query}".strip()] += 1
        return None

    return rule


def _row(title: str, moved: Moved, calls: Mapping[str, int] | None = None) -> tuple[object, ...]:
    told = ", ".join(f"{number} {call}" for call, number in sorted((calls or {}).items()))
    return title, f"{moved.seconds['copy']:.1f}", f"{max(moved.memory.values()):.0f}", told


def _require_large(place: Place) -> None:
    """It arrived as it was, and no upload is left."""
    head = place.head("avatar/large")
    if (head["ContentLength"], head["ETag"].rpartition("-")[2].strip('"')) != (LARGE, str(-(-LARGE // PART))):
        raise SystemExit(f"not as it was: {head}")
    if left := place.s3.list_multipart_uploads(Bucket=place.bucket, Prefix="avatar/large").get("Uploads"):
        raise SystemExit(f"left behind: {left}")
