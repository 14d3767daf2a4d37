"""How fast bucketops is, against other programs on the same server in the same minutes: see README.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bodies, latency, memory, migration, parsing, pipeline, recovery, report, shard, start, strip
from bench.contenders import CONTENDERS, ONE_STREAM, OURS, PEERS
from bench.listing import Listing, listed
from bench.objects import Copy, Delete
from bench.options import Options
from bench.rounds import Scenario, play
from bench.servers import CREDENTIALS, STARTERS, serving
from bench.toxiproxy import delayed

ALL = ("gofakes3", "minio", "versitygw")
LIST_MILLISECONDS = 100
PER_FOLDER = 1000
MANY_INODES = 10_000
FORGOTTEN_SECONDS = 360
"""Until ext4 hands out inodes again without a search, after a benchmark has freed many: see Place.drop."""


@dataclass(frozen=True)
class Benchmark:
    """One thing to measure, and the options that it has unless told otherwise."""

    about: str
    run: Callable[[Options], list[dict[str, Any]]]
    servers: Sequence[str] = ("gofakes3",)
    peers: Sequence[str] = ()
    rounds: int = 9
    objects: int = 20_000


def copy(options: Options) -> list[dict[str, Any]]:
    with serving(options.server, options.folder) as place:
        return [_compared(options, Copy(place, options.objects))]


def delete(options: Options) -> list[dict[str, Any]]:
    with serving(options.server, options.folder) as place:
        return [_compared(options, Delete(place, options.objects))]


def listing(options: Options) -> list[dict[str, Any]]:
    with listed(options.server, options.cache, options.objects) as place:
        return [_compared(options, Listing(place, options.objects))]


def listing_with_latency(options: Options) -> list[dict[str, Any]]:
    with (
        listed(options.server, options.cache, options.objects) as place,
        delayed(place, LIST_MILLISECONDS, options.folder) as endpoint,
    ):
        made = Listing(place, options.objects, endpoint=endpoint)
        made.title += f", {LIST_MILLISECONDS} ms away"
        return [_compared(options, made)]


def _compared(options: Options, scenario: Scenario) -> dict[str, Any]:
    print(scenario.title, file=sys.stderr)
    samples = play(scenario, [OURS, *options.peers], options.rounds)
    rows = report.rows(samples, scenario.amount)
    report.show(scenario.title, scenario.unit, rows, options.rounds)
    return {"title": scenario.title, "amount": scenario.amount, "rows": rows, "samples": samples}


BENCHMARKS: Mapping[str, Benchmark] = {
    "copy": Benchmark("small objects to another prefix", copy, ALL, PEERS),
    "delete": Benchmark("a prefix, listing included", delete, ("minio", "versitygw"), PEERS),
    "list": Benchmark("a million keys in one prefix", listing, ALL, ("s5cmd", "rclone", "mc"), objects=1_000_000),
    "list-latency": Benchmark(
        f"parallel ranges against one stream, {LIST_MILLISECONDS} ms away",
        listing_with_latency,
        peers=(ONE_STREAM,),
        objects=200_000,
    ),
    "latency": Benchmark(
        f"copies {latency.MILLISECONDS} ms away, against the bound in-flight / RTT",
        lambda o: latency.run([OURS, *o.peers], o.rounds, o.folder / "gofakes3"),
    ),
    "recovery": Benchmark(
        "a server whose capacity halves in mid-run", lambda o: recovery.run(o.folder / "gofakes3"), rounds=1
    ),
    "memory": Benchmark(
        "peak memory at N and N/10 objects", lambda o: memory.run(o.objects, o.folder), rounds=1, objects=1_000_000
    ),
    "large": Benchmark("one object beyond 5 GiB; 17 GB of disk", lambda o: bodies.large(o.folder), rounds=1),
    "streamed": Benchmark(
        "peak memory of a worker that streams objects of 1 to 60 MiB, 32 at a time",
        lambda o: bodies.streamed(o.objects, o.folder),
        rounds=1,
        objects=108,
    ),
    "shard": Benchmark(
        "a migration's copy phase with N and N/10 objects and rows",
        lambda o: shard.run(o.objects),
        rounds=1,
        objects=1_000_000,
    ),
    "migration": Benchmark(
        "a whole migration's copy and sweep against programs that only copy",
        migration.run,
        ("minio", "versitygw"),
        ("s5cmd", "mc", "rclone"),
    ),
    "migration-folders": Benchmark(
        f"the same with {PER_FOLDER:,} objects in each folder",
        lambda o: migration.run(o, PER_FOLDER),
        ("minio", "versitygw"),
        ("s5cmd", "mc", "rclone"),
        objects=60_000,
    ),
    "parse": Benchmark("pages of listings", lambda o: parsing.run(o.server, o.rounds, o.cache), ALL),
    "strip": Benchmark("the stripper against exiftool, per core", lambda o: strip.run(o.rounds, o.folder)),
    "start": Benchmark(
        "until a worker first calls a server; commands; the operator's imports",
        lambda o: start.run(o.rounds, o.folder),
        servers=("none",),
    ),
    "pipeline": Benchmark(
        "an ExifPipeline in the cluster: a backfill, then 20 uploads a second",
        lambda o: pipeline.run(o.objects, o.minutes),
        rounds=1,
        objects=5_000,
    ),
}


def parse() -> argparse.Namespace:
    about = "\n".join(f"  {name:19}{benchmark.about}" for name, benchmark in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description=__doc__,
        epilog=f"what:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", choices=[[], *BENCHMARKS], help="the default: everything, hours")
    parser.add_argument("--server", action="append", choices=STARTERS, help="the default: all that make sense")
    parser.add_argument("--peer", action="append", choices=[name for name in CONTENDERS if name != OURS])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--objects", type=int)
    parser.add_argument("--minutes", type=float, default=5.0, help="of uploads to a pipeline (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"), help="all samples go there")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "bucketops", "bench")
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache))
    os.environ.update(CREDENTIALS, BENCH_FOLDER=str(folder))
    results: dict[str, Any] = {}
    names = arguments.what or BENCHMARKS
    steps = [(name, server) for name in names for server in arguments.server or BENCHMARKS[name].servers]
    try:
        for number, (name, server) in enumerate(steps):
            own = folder / f"{name}-{server}"
            kept = results.setdefault(name, {"machine": report.machine(), "results": []})
            kept["results"] += _run(name, server, arguments, own, cache)
            report.keep(arguments.json, results)
            if _removed(own) > MANY_INODES and number + 1 < len(steps):
                time.sleep(FORGOTTEN_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _run(name: str, server: str, given: argparse.Namespace, folder: Path, cache: Path) -> list[dict[str, Any]]:
    """One benchmark on one server, in a folder of its own."""
    folder.mkdir()
    return BENCHMARKS[name].run(_options(given, BENCHMARKS[name], server, folder, cache))


def _removed(folder: Path) -> int:
    """How many inodes that freed."""
    before = os.statvfs(folder.parent).f_ffree
    shutil.rmtree(folder)
    return os.statvfs(folder.parent).f_ffree - before


def _options(given: argparse.Namespace, benchmark: Benchmark, server: str, folder: Path, cache: Path) -> Options:
    return Options(
        server,
        given.peer or benchmark.peers,
        given.rounds or benchmark.rounds,
        given.objects or benchmark.objects,
        given.minutes,
        folder,
        cache,
    )


if __name__ == "__main__":
    sys.exit(main())
