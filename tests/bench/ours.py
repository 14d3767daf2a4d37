"""One job of bucketops by itself, through the engine and the store of its workers: copy, delete or list.

With `--workers` so many processes share it, each with a part of the keys, as the pods of an Indexed Job do.
Run as a process of its own by the benchmarks; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are the credentials. The last
line on stdout is JSON: what was done, and what of it failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs import heap
from bucketops_jobs.engine import Engine
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3 import connect, ranges
from bucketops_jobs.s3.store import Copy, Object, Store

SECRET = "bench"


@dataclass(frozen=True)
class Place:
    """A bucket and a prefix, written BUCKET/PREFIX."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> Place:
        return cls(*text.split("/", 1))


def open_store(place: Place, endpoint: str, root: Path, engine: Engine) -> Store:
    """A store as every kind opens it: from a BucketRef and mounted Secrets."""
    ref = BucketRef.model_validate(
        {
            "bucket": place.bucket,
            "prefix": place.prefix,
            "endpoint": endpoint,
            "credentials": {"secretRef": {"name": SECRET}},
        }
    )
    return connect.connect(ref, root, engine.pace)


def mount(root: Path) -> None:
    """The credentials in the environment as a mounted Secret."""
    folder = root / names.SECRETS_DIR / SECRET
    folder.mkdir(parents=True)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (folder / key).write_text(os.environ[key])


@dataclass
class Job:
    """What a job works with."""

    engine: Engine
    source: Store
    destination: Store
    places: tuple[Place, Place]
    streams: int
    part: slice
    """The keys of this worker."""
    failures: list[str] = field(default_factory=list)

    def entries(self) -> Iterator[Object]:
        """What the source lists, as far as it is this worker's."""
        listed = self.source.list_objects(self.places[0].prefix)
        return islice(listed, self.part.start, None, self.part.step)

    def failed(self, answers: Iterable[object]) -> None:
        """Keep the errors of a chunk."""
        self.failures.extend(str(answer) for answer in answers if isinstance(answer, Exception))


def copy(job: Job) -> int:
    """Copy what the source lists, as it is listed."""
    source, destination = job.places

    def wanted(entry: Object) -> Copy:
        return Copy(source.bucket, entry, destination.prefix + entry.key.removeprefix(source.prefix))

    done = 0
    for _, answer in job.destination.copies(map(wanted, job.entries())):
        job.failed([answer])
        done += 1
    return done


def delete(job: Job) -> int:
    """Delete what the source lists, as it is listed."""
    done = 0

    def counted() -> Iterator[Object]:
        nonlocal done
        for entry in job.entries():
            done += 1
            yield entry

    job.failed(job.source.delete(counted(), conditional=False).values())
    return done


def listing(job: Job) -> int:
    """Count what the source lists, in whatever order the pages come."""
    return sum(len(page) for page in ranges.each_page(job.source, job.places[0].prefix, most=job.streams))


JOBS: Mapping[str, Callable[[Job], int]] = {"copy": copy, "delete": delete, "list": listing}


def main() -> int:
    arguments = parse()
    if arguments.workers > 1:
        return share(arguments.workers)
    heap.prepare()
    result = work(arguments)
    print(json.dumps(result))
    return 1 if result["failed"] else 0


def share(workers: int) -> int:
    """The same command once per worker; what all of them did together."""
    command = [sys.executable, *sys.argv]
    begun = [
        subprocess.Popen([*command, "--workers", "1", "--part", f"{n}/{workers}"], stdout=subprocess.PIPE)
        for n in range(workers)
    ]
    results = [json.loads(process.communicate()[0].splitlines()[-1]) for process in begun]
    print(json.dumps({name: sum((result[name] for result in results[1:]), results[0][name]) for name in results[0]}))
    return max(process.returncode for process in begun)


def work(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was done, and what of it failed."""
    places = (Place.parse(arguments.source), Place.parse(arguments.destination or arguments.source))
    pace = Pace(arguments.concurrency, None, threading.Event())
    with tempfile.TemporaryDirectory() as folder, Engine(pace, arguments.concurrency) as engine:
        mount(Path(folder))
        source, destination = (open_store(place, arguments.endpoint, Path(folder), engine) for place in places)
        number, parts = map(int, arguments.part.split("/"))
        job = Job(engine, source, destination, places, arguments.streams, slice(number, None, parts))
        done = JOBS[arguments.job](job)
        source.close()
        destination.close()
    return {"done": done, "failed": len(job.failures), "failures": job.failures[:3], "retries": pace.retries}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--source", required=True, metavar="BUCKET/PREFIX")
    parser.add_argument("--destination", metavar="BUCKET/PREFIX")
    parser.add_argument("--concurrency", type=int, default=64, help="requests at once, at most")
    parser.add_argument("--streams", type=int, default=ranges.MOST_STREAMS, help="ranges of a listing, at most")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the keys")
    parser.add_argument("--part", default="0/1", metavar="N/OF", help="of the keys")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
