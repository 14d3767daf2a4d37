"""Who is compared: bucketops and its peers, each with the settings that it is fastest with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from support.servers import built

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Task:
    """What is to be done: all objects below `source`, to `destination` if it is a copy. Both are BUCKET/PREFIX/."""

    endpoint: str
    source: str
    destination: str = ""
    concurrency: int = 0
    """Requests at once; 0: what the program is fastest with."""


Command = Sequence[str]
Credentials = Mapping[str, str]
"""AWS's variables."""


@dataclass(frozen=True)
class Contender:
    """A program; `environment` depends on the endpoint and who calls."""

    name: str
    copy: Callable[[Task], Command]
    delete: Callable[[Task], Command]
    list: Callable[[Task], Command]
    environment: Callable[[str, Credentials], Mapping[str, str]] = lambda _, who: who


def _ours(job: str, *options: str, workers: int = 1) -> Callable[[Task], Command]:
    """A worker of ours drives one core, the others use all there are; `concurrency` is that of one worker."""
    shared = ["--workers", str(workers)] if workers > 1 else []

    def command(task: Task) -> Command:
        where = ["--endpoint", task.endpoint, "--source", task.source]
        to = ["--destination", task.destination] if task.destination else []
        at_once = ["--concurrency", str(task.concurrency)] if task.concurrency else shared
        return [sys.executable, str(HERE / "ours.py"), job, *where, *to, *at_once, *options]

    return command


def _threads(job: str) -> Callable[[Task], Command]:
    def command(task: Task) -> Command:
        to = [task.destination] if task.destination else []
        return [sys.executable, str(HERE / "threads.py"), job, task.endpoint, task.source, *to]

    return command


def _s5cmd(task: Task, log: str = "error") -> list[str]:
    """256 workers are its default and its best here."""
    program = Path(sys.executable).parent / "s5cmd"
    workers = str(task.concurrency or 256)
    return [str(program), "--log", log, "--endpoint-url", task.endpoint, "--numworkers", workers]


def _rclone(job: str, *paths: str) -> Command:
    return [_tool("rclone"), job, *(f"r:{path}" for path in paths), "--transfers", "64", "--checkers", "64", "--quiet"]


def _rclone_environment(endpoint: str, who: Credentials) -> Mapping[str, str]:
    return {
        **who,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_R_TYPE": "s3",
        "RCLONE_CONFIG_R_PROVIDER": "Minio",
        "RCLONE_CONFIG_R_ENV_AUTH": "true",
        "RCLONE_CONFIG_R_ENDPOINT": endpoint,
    }


def _mc(*arguments: str) -> Command:
    return [_tool("mc"), "--quiet", "--disable-pager", *arguments]


def _mc_environment(endpoint: str, who: Credentials) -> Mapping[str, str]:
    user, password = who["AWS_ACCESS_KEY_ID"], who["AWS_SECRET_ACCESS_KEY"]
    folder = Path(os.environ["BENCH_FOLDER"], "mc")
    return {"MC_HOST_r": f"http://{user}:{password}@{urlsplit(endpoint).netloc}", "MC_CONFIG_DIR": str(folder)}


@cache
def _tool(name: str) -> str:
    return built(name)


OURS = "bucketops"
ONE_STREAM, ONE_WORKER = "one stream", "one worker"
PEERS = ("s5cmd", "mc", "rclone", "boto3")
CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        Contender(OURS, _ours("copy", workers=os.cpu_count() or 1), _ours("delete"), _ours("list")),
        Contender(ONE_WORKER, _ours("copy"), _ours("delete"), _ours("list")),
        Contender(ONE_STREAM, _ours("copy"), _ours("delete"), _ours("list", "--streams", "1")),
        Contender(
            "s5cmd",
            lambda task: [*_s5cmd(task), "cp", f"s3://{task.source}*", f"s3://{task.destination}"],
            lambda task: [*_s5cmd(task), "rm", f"s3://{task.source}*"],
            lambda task: [*_s5cmd(task, "info"), "du", f"s3://{task.source}*"],
        ),
        Contender(
            "mc",
            lambda task: _mc("mirror", f"r/{task.source}", f"r/{task.destination}"),
            lambda task: _mc("rm", "--recursive", "--force", f"r/{task.source}"),
            lambda task: _mc("du", f"r/{task.source}"),
            _mc_environment,
        ),
        Contender(
            "rclone",
            lambda task: _rclone("copy", task.source, task.destination),
            lambda task: _rclone("delete", task.source),
            lambda task: [*_rclone("size", task.source), "--fast-list", "--json"],
            _rclone_environment,
        ),
        Contender("boto3", _threads("copy"), _threads("delete"), _threads("list")),
    )
}
