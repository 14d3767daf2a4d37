"""ExifPipeline in the cluster: a backfill with progress, then uploads at a steady rate and how soon each is clean."""

from __future__ import annotations

import hashlib
import io
import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench import report
from bench.arrivals import Arrival, Upload, measured
from bench.site import Site, pipeline_site
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.s3.store import Copy, Object
from support import corpus
from support.cluster import wait_for

RATE = 20.0
"""Uploads a second."""
BACKFILL_SECONDS = 900.0
_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Picture:
    """A file of the corpus, and the MD5 of what the pipeline must make of it; empty: it must refuse it."""

    name: str
    body: bytes
    clean: str


def run(backfill: int, minutes: float) -> list[dict[str, Any]]:
    """Needs a cluster; everything that it makes there goes again."""
    pictures = [_picture(file.stem, file.read_bytes()) for file in corpus.FILES]
    if not pictures:
        raise SystemExit(f"there is no {corpus.FOLDER}, whose pictures are uploaded")
    with pipeline_site() as site:
        old = _backfilled(site, pictures, backfill)
        new = _uploaded(site, pictures, minutes)
        _require_exact(site, [*_names("old", pictures, backfill), *_names("new", pictures, round(minutes * 60 * RATE))])
    return [old, new]


def _picture(name: str, body: bytes) -> Picture:
    sink = io.BytesIO()
    clean = strip(io.BytesIO(body), sink).clean
    return Picture(name, body, hashlib.md5(sink.getvalue(), usedforsecurity=False).hexdigest() if clean else "")


def _names(folder: str, pictures: Sequence[Picture], amount: int) -> Iterator[tuple[str, Picture]]:
    """The corpus again and again, each time in a folder of its own."""
    for number, picture in zip(range(amount), itertools.cycle(pictures), strict=False):
        yield f"{folder}/{number // len(pictures):03}/{picture.name}.jpg", picture


def _backfilled(site: Site, pictures: Sequence[Picture], amount: int) -> dict[str, Any]:
    _fill(site, pictures, amount)
    print(f"{amount} pictures are in the source; the pipeline starts", file=sys.stderr)
    begin = time.monotonic()
    site.start()
    samples = list(_progress(site, begin))
    seconds, last = samples[-1][0], samples[-1][1]
    rates = [p["objectsPerSecond"] for _, s in samples if (p := s.get("progress", {})).get("objectsPerSecond")]
    found = {
        "pictures": last["lastSweep"]["pictures"],
        "saved": last["progress"]["processed"],
        "refused": last["progress"]["quarantined"],
        "seconds": round(seconds, 1),
        "pictures/s": round(amount / seconds, 1),
        "pictures/s, as the status says": statistics.median(rates) if rates else None,
    }
    report.table(f"backfill of {amount:,} pictures: the status on its way", _HEADS, _shown(samples))
    report.table("backfill, from kubectl apply to Ready", tuple(found), [tuple(found.values())])
    return {"title": "backfill", **found, "samples": samples}


def _fill(site: Site, pictures: Sequence[Picture], amount: int) -> None:
    """The first of each is put, the others are copies of it on the server."""
    store = site.store("a")
    first: dict[str, Object] = {}
    rest: list[Copy] = []
    for key, picture in _names("old", pictures, amount):
        known = first.get(picture.name)
        if known:
            rest.append(Copy(store.bucket, known, key))
        else:
            store.put(key, picture.body, {"content-type": "image/jpeg"})
            first[picture.name] = store.head(key) or _missing(key)
    for copy, answer in store.copies(rest):
        if isinstance(answer, Exception):
            raise SystemExit(f"{copy.key}: {answer}")
    store.close()


def _missing(key: str) -> Object:
    raise SystemExit(f"{key} was put and is not there")


def _progress(site: Site, begin: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """Every change of the status, until the sweep has ended and everybody listens."""
    before: dict[str, Any] = {}
    while time.monotonic() < begin + BACKFILL_SECONDS:
        status = site.status()
        shown = {name: status.get(name) for name in ("phase", "progress", "lastSweep", "listeners")}
        if shown != before:
            yield time.monotonic() - begin, status
            before = shown
        ready = [c["status"] for c in status.get("conditions", ()) if c["type"] == "Ready"]
        if status.get("lastSweep") and ready == ["True"]:
            return
        time.sleep(_SAMPLE_SECONDS)
    raise SystemExit(f"not Ready within {BACKFILL_SECONDS} s: {before}")


_HEADS = ("s", "phase", "percent", "done", "of", "pictures/s", "ETA s", "listening")


def _shown(samples: Sequence[tuple[float, dict[str, Any]]]) -> Iterator[tuple[object, ...]]:
    for seconds, status in samples:
        progress = status.get("progress", {})
        fields = ("percent", "objectsDone", "objectsTotal", "objectsPerSecond", "etaSeconds")
        listening = status.get("listeners", {}).get("listening", 0)
        yield f"{seconds:.1f}", status.get("phase"), *(progress.get(name) for name in fields), listening


def _uploaded(site: Site, pictures: Sequence[Picture], minutes: float) -> dict[str, Any]:
    amount = round(minutes * 60 * RATE)
    uploads = [Upload(key, picture.body, bool(picture.clean)) for key, picture in _names("new", pictures, amount)]
    source, destination = site.store("a"), site.store("b")
    arrivals, late = measured(
        uploads, RATE, source, destination, lambda done: print(f"  {done} uploads", file=sys.stderr)
    )
    status, memory = site.status(), site.memory()
    source.close()
    destination.close()
    found = _figures(arrivals) | {"uploads began late by, at most": round(late, 3)}
    told = {name: status["progress"].get(name) for name in ("latencyP50Ms", "latencyP99Ms", "failed", "conflicts")}
    title = f"{RATE:g} uploads a second for {minutes:g} minutes: seconds from an upload's end until it is clean"
    report.table(title, tuple(found), [tuple(found.values())])
    report.table("the status afterwards", tuple(told), [tuple(told.values())])
    report.table(
        "peak memory of the pods that listen, MiB", tuple(memory), [tuple(f"{m:.0f}" for m in memory.values())]
    )
    seconds = [round(each.seconds, 4) for each in arrivals]
    return {"title": title, **found, "status": told, "memory_mib": memory, "samples": seconds}


def _figures(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Quantiles as observed values, none between two."""
    seconds = sorted(each.seconds for each in arrivals)
    doubt = sorted(each.readable - each.missing for each in arrivals if each.readable)

    def quantile(values: Sequence[float], share: float) -> float:
        return round(values[min(len(values) - 1, int(share * len(values)))], 3)

    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        "clean": sum(each.readable is not None for each in arrivals),
        "of": len(arrivals),
        **{name: quantile(seconds, share) for name, share in shares.items()},
        "too high by at most, p50": quantile(doubt, 0.5),
        "p99 of that": quantile(doubt, 0.99),
    }


def _require_exact(site: Site, expected: Sequence[tuple[str, Picture]]) -> None:
    """Every picture is what stripping it here makes, nothing else is there, and of the others there are notes."""
    clean = {key: picture.clean for key, picture in expected if picture.clean}
    refused = {f"pictures/{key}" for key, picture in expected if not picture.clean}
    wait_for("all refusals are written down", lambda: set(site.keys("q")) == refused, 60)
    found = site.keys("b")
    wrong = sorted(key for key in found.keys() | clean.keys() if found.get(key) != clean.get(key))
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(clean)} pictures are not as they must be, such as {wrong[:3]}")
    report.table("verified", ("clean, byte for byte", "refused"), [(len(clean), len(refused))])
