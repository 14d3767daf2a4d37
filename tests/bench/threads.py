"""What a script with boto3 and a pool of threads reaches: the peer that needs no new program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

THREADS, DELETERS = 32, 4


def pages(s3: Any, bucket: str, prefix: str) -> Iterator[list[str]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield [row["Key"] for row in page.get("Contents", [])]


def copy(s3: Any, source: tuple[str, str], destination: tuple[str, str]) -> int:
    def one(key: str) -> None:
        target = destination[1] + key.removeprefix(source[1])
        s3.copy_object(Bucket=destination[0], Key=target, CopySource={"Bucket": source[0], "Key": key})

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(len(list(pool.map(one, page))) for page in pages(s3, *source))


def delete(s3: Any, source: tuple[str, str], _: tuple[str, str]) -> int:
    def some(keys: list[str]) -> int:
        answer = s3.delete_objects(Bucket=source[0], Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        return len(keys) - len(answer.get("Errors", []))

    with ThreadPoolExecutor(DELETERS) as pool:
        return sum(pool.map(some, filter(None, pages(s3, *source))))


def listing(s3: Any, source: tuple[str, str], _: tuple[str, str]) -> int:
    return sum(map(len, pages(s3, *source)))


JOBS = {"copy": copy, "delete": delete, "list": listing}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("endpoint")
    parser.add_argument("source", metavar="BUCKET/PREFIX")
    parser.add_argument("destination", metavar="BUCKET/PREFIX", nargs="?", default="-/")
    arguments = parser.parse_args()
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=THREADS)
    s3 = boto3.client("s3", endpoint_url=arguments.endpoint, region_name="us-east-1", config=config)
    bucket, prefix = arguments.source.split("/", 1)
    target, below = arguments.destination.split("/", 1)
    print(JOBS[arguments.job](s3, (bucket, prefix), (target, below)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
