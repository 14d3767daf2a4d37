"""pgbouncer before a PostgreSQL, as applications have it: a process of this machine, on loopback."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from bucketops_operator.local_worker import free_port

_PROGRAM = "/usr/sbin/pgbouncer"
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name NOT IN ('in_hot_standby', 'transaction_read_only')"


@contextmanager
def pooled(folder: Path, database: Mapping[str, str], *, mode: str, size: int) -> Iterator[dict[str, str]]:
    """The same database through a pool of so many connections; answers what a Secret holds then."""
    folder.mkdir(mode=0o755)
    port, name = free_port(), database["PGDATABASE"]
    (folder / "users.txt").write_text(f'"{database["PGUSER"]}" "{database.get("PGPASSWORD", "")}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host={database['PGHOST']} port={database['PGPORT']} dbname={name}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users.txt\npool_mode = {mode}\ndefault_pool_size = {size}\nlogfile = {folder}/log\n"
    )
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    who: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([_PROGRAM, folder / "pgbouncer.ini"], stdout=output, stderr=output, cwd="/", **who)
    try:
        through = {**database, "PGPORT": str(port)}
        _wait(process, through, folder)
        yield through
    finally:
        process.terminate()
        process.wait()


def client(database: Mapping[str, str]) -> Any:
    """A connection of the application, in autocommit mode; it says its name, as a driver of an application does."""
    connection = psycopg2.connect(
        host=database["PGHOST"], port=database["PGPORT"], user=database["PGUSER"], dbname=database["PGDATABASE"]
    )
    connection.autocommit = True
    return connection


def every_connection(database: Mapping[str, str], size: int) -> dict[int, dict[str, str]]:
    """All settings of each connection that the pool holds to the server, by its process there."""
    found: dict[int, dict[str, str]] = {}
    with ExitStack() as all_at_once:
        for _ in range(size):
            cursor = all_at_once.enter_context(closing(client(database))).cursor()
            cursor.execute("BEGIN")  # holds one of them until the end; a pool closes what is left open in one
            all_at_once.callback(cursor.execute, "ROLLBACK")
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
            cursor.execute(SETTINGS)
            found[pid] = dict(cursor.fetchall())
    return found


def _wait(process: subprocess.Popen[bytes], database: Mapping[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            client(database).close()
        except psycopg2.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "output").read_text()) from None
            time.sleep(0.05)
        else:
            return
