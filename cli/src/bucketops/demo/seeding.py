"""Fills the website: pictures through our own S3 client, rows by COPY."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path

from bucketops.demo.postgres import Database
from bucketops.demo.seaweedfs import Store
from bucketops.demo.site import LEGACY, MODERN, Amounts, picture
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from bucketops_jobs.s3.http import itself
from bucketops_jobs.s3.wire import Request
from bucketops_operator.local import fill

AT_ONCE = 16
_HEADERS = {"content-type": "image/png"}
_TABLE = "CREATE TABLE avatars (id serial PRIMARY KEY, path varchar(255) NOT NULL)"


def rows(database: Database, amounts: Amounts) -> None:
    """Make the table and its rows, as the administrator does."""
    database.execute(_TABLE)
    text = io.StringIO("".join(f"{path}\n" for path in amounts.paths()))
    with closing(database.connect(database.admin)) as connection, connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY avatars (path) FROM STDIN", text)


def objects(store: Store, spec: MigrationSpec, amounts: Amounts, folder: Path, done: Callable[[int], None]) -> None:
    """Make both buckets and their pictures, as the administrator does; `done` is told how many are there."""
    fill(folder / "secrets", ["admin"], {"admin": store.admin.data})
    pace = Pace(AT_ONCE, folder / "limits.json", threading.Event())
    buckets = {LEGACY: _bucket(spec.source.bucket, store, folder, pace)}
    buckets[MODERN] = _bucket(spec.destination.bucket, store, folder, pace)

    def put(one: tuple[str, int]) -> str:
        path, number = one
        return buckets[LEGACY if path.startswith(LEGACY) else MODERN].put(path, picture(number), _HEADERS)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for count, made in enumerate(_each(pool, put, amounts.objects()), 1):
            made()
            done(count)
    for bucket in buckets.values():
        bucket.close()


def _each(
    pool: ThreadPoolExecutor, put: Callable[[tuple[str, int]], str], wanted: Iterable[tuple[str, int]]
) -> Iterator[Callable[[], str]]:
    return (future.result for future in as_completed([pool.submit(put, one) for one in wanted]))


def _bucket(bucket: str, store: Store, folder: Path, pace: Pace) -> S3Store:
    """Return a bucket that is there."""
    ref = {"bucket": bucket, "endpoint": store.endpoint, "credentials": {"secretRef": {"name": "admin"}}}
    made = connect(BucketRef.model_validate(ref), folder, pace)
    made.ask(Request("CreateBucket", "PUT", made.calls.bucket_path), f"create {bucket}", itself)
    return made
