"""Real servers as processes of this machine, on loopback: MinIO and PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg2

ROOT = Path(__file__).parents[2]
WITH_PASSWORD = "with_password"
ADMIN, PASSWORD = "bucketops-admin", "bucketops-for-testing-only"


@dataclass
class Server:
    """A running process and the port it listens on."""

    process: subprocess.Popen[bytes]
    port: int

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_minio(folder: Path) -> Server:
    """MinIO on one folder; the binary is built by tests/cluster, once."""
    binary = subprocess.run(
        [sys.executable, str(ROOT / "tests/cluster"), "tool", "minio"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    port = free_port()
    with (folder / "minio.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "server", "--address", f"127.0.0.1:{port}", "--quiet", str(folder / "data")],
            env=os.environ | {"MINIO_ROOT_USER": ADMIN, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port)
    _wait(server, lambda: _answers(f"http://127.0.0.1:{port}/minio/health/ready"), folder / "minio.log")
    return server


def start_moto(folder: Path) -> Server:
    """A stand-in for AWS: IAM and S3 of the moto package; it knows the rights of users once it is told to."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    server = Server(process, port)
    _wait(server, lambda: _answers(f"http://127.0.0.1:{port}/moto-api/data.json"), folder / "moto.log")
    return server


def start_postgres(folder: Path) -> Server:
    """PostgreSQL with the distribution's binaries; as user postgres, since it refuses to run as root."""
    binaries = _postgres_binaries()
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    data, port = folder / "pgdata", free_port()
    if user:
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        os.chown(folder, user.pw_uid, user.pw_gid)
    who = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **who,
    )
    rules = data / "pg_hba.conf"  # members of one role must know their password; all others are trusted
    rules.write_text(f"host all +{WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off", "-c", "max_connections=200"]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=folder, **who
        )
    server = Server(process, port)
    _wait(server, lambda: _connects(port), folder / "postgres.log")
    return server


def _postgres_binaries() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("no PostgreSQL server on this machine: run `python3 tests/cluster packages`")
    return Path(found).parent


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _connects(port: int) -> bool:
    try:
        psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def _wait(server: Server, ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if server.process.poll() is not None or time.monotonic() > deadline:
            server.process.kill()
            raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.1)
