"""A worker as a process of this machine serves its metrics to this machine alone."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec, resolved
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_operator.executor import Resource
from bucketops_operator.local_worker import ProcessAttempt
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

PATIENCE = 60.0
KEYS = {names.ACCESS_KEY: "key", names.SECRET_KEY: "secret"}
OWNER = Resource("S3Retention", "default", "a", "uid-1", 1, {})


def listening_addresses(pid: int) -> set[str]:
    """The local addresses of a process's listening TCP sockets: https://man7.org/linux/man-pages/man5/proc_net.5.html."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A store that takes connections and says nothing, so that a worker waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def mounted(root: Path, endpoint: str) -> Path:
    spec = RetentionSpec.model_validate(
        {"bucket": {"bucket": "abc", "endpoint": endpoint, "credentials": {"secretRef": {"name": "s"}}}}
    )
    run = RunSpec(kind=OWNER.kind, phase="retain", namespace="default", name="a", run="a-1-retain", spec=resolved(spec))
    run_map, _, _ = run_objects(OWNER, run, parallelism=1, suspend=False, limits=Limits(), settings=Settings())
    contents = {root / names.SECRETS_DIR / "s" / key: value for key, value in KEYS.items()}
    for file, text in {root / names.RUN_FILE: run_map["data"]["run.json"], **contents}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_it_listens_on_loopback(tmp_path: Path, endpoint: str) -> None:
    attempt = ProcessAttempt(mounted(tmp_path, endpoint), 0, tmp_path / "0-1")
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := listening_addresses(attempt.pid or 0)):
            assert attempt.ended() is None, attempt.result()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found == {socket.inet_aton("127.0.0.1")[::-1].hex().upper()}
    finally:
        attempt.kill()
