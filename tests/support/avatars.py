"""The world of the examples: legacy avatars, modern ones, and a table that names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
import psycopg2
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg2.extras import execute_values

from bucketops.demo import site
from bucketops.demo.site import LEGACY, MODERN, WrongError, name, picture

UNAVAILABLE = 500
"""The least status that tells of the server and not of what was asked for."""


def s3_client(
    endpoint: str, access_key: str, secret_key: str, verify: str | None = None, *, region: str = "us-east-1"
) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        verify=verify,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=64),
    )


@dataclass
class World:
    """Both buckets and the database, with the rights of an administrator."""

    s3: Any
    dsn: str
    source: str = "legacy-s3"
    destination: str = "production-s3"
    objects: dict[int, int] = field(default_factory=dict)

    def make_buckets(self) -> None:
        for bucket in (self.source, self.destination):
            try:
                self.s3.create_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                    raise

    def empty(self) -> None:
        """Remove everything from both buckets, records included."""
        for bucket in (self.source, self.destination):
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                if keys := [{"Key": row["Key"]} for row in page.get("Contents", [])]:
                    self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    def make_table(self) -> None:
        self.sql("CREATE TABLE avatars (id serial PRIMARY KEY, path varchar(255) NOT NULL)")

    def sql(self, statement: str, values: Any = None) -> list[Any]:
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchall() if cursor.description else []
        connection.close()
        return found

    def insert(self, paths: Iterable[str]) -> None:
        with psycopg2.connect(self.dsn) as connection, connection.cursor() as cursor:
            execute_values(cursor, "INSERT INTO avatars (path) VALUES %s", [(path,) for path in paths])
        connection.close()

    def put_legacy(self, numbers: Iterable[int], **extra: Any) -> None:
        self._put(self.source, LEGACY, numbers, extra)

    def put_modern(self, numbers: Iterable[int], **extra: Any) -> None:
        self._put(self.destination, MODERN, numbers, extra)

    def _put(self, bucket: str, prefix: str, numbers: Iterable[int], extra: dict[str, Any]) -> None:
        def put(number: int) -> None:
            headers = {"ContentType": "image/png", "Metadata": {"avatar": str(number)}} | extra
            self.s3.put_object(Bucket=bucket, Key=prefix + name(number), Body=picture(number), **headers)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(put, numbers))

    def seed(self, legacy: Iterable[int], modern: Iterable[int] = ()) -> None:
        legacy, modern = list(legacy), list(modern)
        self.make_buckets()
        self.make_table()
        self.put_legacy(legacy)
        self.put_modern(modern)
        self.insert([LEGACY + name(number) for number in legacy] + [MODERN + name(number) for number in modern])

    def keys(self, bucket: str, prefix: str = "") -> dict[str, tuple[str, Any]]:
        """Key -> (ETag, LastModified), records left out."""
        found: dict[str, tuple[str, Any]] = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for row in page.get("Contents", []):
                if not row["Key"].startswith(".bucketops/"):
                    found[row["Key"]] = (row["ETag"], row["LastModified"])
        return found

    def body(self, bucket: str, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def paths(self) -> list[str]:
        return [path for (path,) in self.sql("SELECT path FROM avatars ORDER BY id")]


@contextmanager
def cursor_of(dsn: str) -> Iterator[Any]:
    """A cursor of a connection in autocommit mode."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def transaction(world: World) -> Iterator[Any]:
    """A cursor of the application's, whose transaction ends when it is told to."""
    with closing(psycopg2.connect(world.dsn)) as connection, connection.cursor() as cursor:
        yield cursor


class Reader(site.Reader):
    """A reader of this world. `dsn` is a replica's, perhaps."""

    def __init__(self, world: World, *, threads: int = 2, pause: float = 0.0, dsn: str = "") -> None:
        ((most,),) = world.sql("SELECT coalesce(max(id), 0) FROM avatars")
        super().__init__(
            partial(psycopg2.connect, dsn or world.dsn), partial(_fetch, world), most, threads=threads, pause=pause
        )


def _fetch(world: World, path: str) -> bytes:
    try:
        return world.body(world.source if path.startswith(LEGACY) else world.destination, path)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status >= UNAVAILABLE:
            raise ConnectionError(path) from error
        raise WrongError(str(status)) from error
    except BotoCoreError as error:
        raise ConnectionError(path) from error
