"""`bucketops demo`: the main job on servers that live and die with the command, whatever ends it."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import yaml

from bucketops.demo import postgres, rights, seaweedfs, server
from bucketops.demo.errors import DemoError
from bucketops.demo.server import Servers
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import s3_client
from support.cluster import wait_for

DEMO = [str(Path(sys.executable).with_name("bucketops")), "demo", "--grace", "1s"]
SMALL = ["--objects", "120"]
AS_ANOTHER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
"""Begins a command that is not root, and can reach our virtual environment all the same."""
SPEC = yaml.safe_load((Path(__file__).parents[2] / "manifests/examples/s3migration.yaml").read_text())["spec"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files that everybody can reach."""
    made = Path(tempfile.mkdtemp(prefix="demo-test-"))
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


def start(folder: Path, *arguments: str, before: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"TMPDIR": str(folder)}
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment}
    return subprocess.Popen([*before, *DEMO, *arguments], **(how | options))


def finish(demo: subprocess.Popen[str]) -> str:
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    assert "0 of them wrong" in said, said
    return said


def processes(folder: Path) -> Sequence[str]:
    """All that have the folder in their environment or among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            command = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if str(folder).encode() in told and command:
            found.append(command)
    return found


def require_nothing_left(folder: Path, *, files: bool = False) -> None:
    wait_for("the end of all processes", lambda: not processes(folder))
    assert files or list(folder.iterdir()) == []


def until_under_way(folder: Path) -> None:
    """Workers copy: both servers are there, the website is filled."""
    wait_for("workers", lambda: any("bucketops_jobs" in command for command in processes(folder)), 120)


def test_two_demos_run_at_once_on_real_servers_and_nothing_is_left_of_them(folder: Path) -> None:
    """One as whoever we are (root, perhaps), one not as root."""
    demos = [start(folder, *SMALL), start(folder, *SMALL, before=AS_ANOTHER)]
    for said in map(finish, demos):
        assert "120 objects moved" in said
        assert "make demo ENGINE=kind" in said
    require_nothing_left(folder)


@pytest.mark.slow
def test_settings_of_the_user_lead_nowhere_else(folder: Path) -> None:
    """Variables for AWS, libpq and proxies are for other servers; a long path is too long for a socket."""
    deep = folder / ("x" * 90)
    deep.mkdir()
    deep.chmod(0o777)
    foreign = {"PGHOST": "192.0.2.1", "PGSSLMODE": "verify-full", "PGOPTIONS": "-c search_path=elsewhere"}
    foreign |= {
        "AWS_ENDPOINT_URL": "http://192.0.2.1",
        "HTTP_PROXY": "http://192.0.2.1:1",
        "http_proxy": "http://192.0.2.1:1",
    }
    finish(start(folder, *SMALL, env=os.environ | foreign | {"TMPDIR": str(deep)}))
    assert list(deep.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    demo = start(folder, "--objects", "3000")
    until_under_way(folder)
    demo.send_signal(number)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, said
    assert "Traceback" not in said, said
    require_nothing_left(folder)


def test_a_signal_while_servers_start_leaves_nothing(folder: Path) -> None:
    demo = start(folder, *SMALL)
    wait_for("a server", lambda: any("weed" in command for command in processes(folder)))
    demo.send_signal(signal.SIGTERM)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, said
    require_nothing_left(folder)


def test_sigkill_leaves_nothing_running_and_the_next_demo_removes_its_folder(folder: Path) -> None:
    demo = start(folder, "--objects", "3000")
    until_under_way(folder)
    demo.kill()
    demo.communicate()
    require_nothing_left(folder, files=True)
    assert [path.name for path in folder.iterdir() if path.name.startswith("bucketops-demo-")]
    finish(start(folder, *SMALL))
    require_nothing_left(folder)


@pytest.mark.slow
def test_a_closed_terminal_leaves_nothing(folder: Path) -> None:
    master, terminal = pty.openpty()
    with_terminal = {"stdin": terminal, "stdout": terminal, "stderr": terminal, "start_new_session": True}
    environment = os.environ | {"TMPDIR": str(folder), "TERM": "xterm"}
    command = [
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    ]
    demo = subprocess.Popen(
        [sys.executable, "-c", *command, *DEMO, "--objects", "3000"], env=environment, **with_terminal
    )
    os.close(terminal)
    with ExitStack() as open_end:
        open_end.callback(os.close, master)
        drain = subprocess.Popen(["cat"], stdin=master, stdout=subprocess.DEVNULL)
        until_under_way(folder)
        drain.kill()
        drain.wait()
    demo.wait(timeout=120)
    require_nothing_left(folder)


def test_a_server_ends_even_if_its_keeper_is_killed(folder: Path) -> None:
    with Servers(lock()) as servers:
        database = postgres.start(servers, folder / "postgresql")
        os.kill(database.server.keeper, signal.SIGKILL)
        wait_for("the end of the server", lambda: not processes(folder / "postgresql"))


def test_a_port_that_somebody_takes_first_is_no_failure_and_no_socket_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each server gets a taken port at first."""
    free, given, used = server.free_ports, [], []

    def ports(count: int) -> list[int]:
        found = free(count)
        given.append(count)
        used.extend(found)
        return [taken, *found[1:]] if given.count(count) == 1 else found

    with socket.create_server(("127.0.0.1", 0)) as other, Servers(lock()) as servers:
        taken = other.getsockname()[1]
        monkeypatch.setattr(server, "free_ports", ports)
        database = postgres.start(servers, folder / "postgresql")
        database.execute("SELECT 1")
        store = seaweedfs.start(servers, folder / "seaweedfs", [], [])
    assert sorted(given) == [1, 1, 8, 8]
    assert [path for port in used for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")] == []  # noqa: S108
    assert taken not in (urlsplit(store.endpoint).port, database.port)


def test_a_server_that_does_not_come_up_is_told_with_the_end_of_its_log(folder: Path) -> None:
    def begin(_: Sequence[int]) -> tuple[server.Server, Callable[[], bool]]:
        return servers.start([sys.executable, "-c", "print('no room for', 'me')"], folder), lambda: False

    with Servers(lock()) as servers, pytest.raises(DemoError, match=r"Nginx does not come up(.|\n)*no room for me"):
        server.on_free_ports("Nginx", 1, begin)


def test_the_migrations_users_may_do_its_work_and_nothing_else(folder: Path) -> None:
    spec = MigrationSpec.model_validate(SPEC)
    with Servers(lock()) as servers:
        store = seaweedfs.start(
            servers, folder / "seaweedfs", rights.of_the_migration(spec), rights.of_the_public(spec)
        )
        admin, worker = (s3_client(store.endpoint, key.name, key.secret) for key in (store.admin, store.worker))
        admin.create_bucket(Bucket="legacy-s3")
        for key in ("image/avatar-1.png", "secret/1"):
            admin.put_object(Bucket="legacy-s3", Key=key, Body=b"x")
        assert worker.get_object(Bucket="legacy-s3", Key="image/avatar-1.png")["ContentLength"] == 1
        for call in (
            partial(worker.get_object, Bucket="legacy-s3", Key="secret/1"),
            partial(worker.put_object, Bucket="legacy-s3", Key="image/avatar-2.png", Body=b"y"),
            partial(worker.list_objects_v2, Bucket="legacy-s3"),
            partial(worker.create_bucket, Bucket="another"),
        ):
            with pytest.raises(worker.exceptions.ClientError, match="AccessDenied"):
                call()


def test_the_websites_role_reads_and_the_migrations_role_changes_paths_alone(folder: Path) -> None:
    with Servers(lock()) as servers:
        database = postgres.start(servers, folder / "postgresql")
        database.execute("CREATE TABLE avatars (id serial PRIMARY KEY, path varchar(255), secret text)")
        website, worker = postgres.Role(rights.WEBSITE), postgres.Role(rights.ROLE)
        for role in (website, worker):
            database.add(role)
        database.execute(*rights.grants(MigrationSpec.model_validate(SPEC)))
        allowed(database, website, "SELECT path FROM avatars")
        allowed(database, worker, "UPDATE avatars SET path = 'x' WHERE path = 'y'")
        refused(database, website, "UPDATE avatars SET path = 'x'")
        refused(database, worker, "SELECT secret FROM avatars")
        refused(database, worker, "DELETE FROM avatars")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            database.connect(postgres.Role(rights.ROLE))


def allowed(database: postgres.Database, role: postgres.Role, statement: str) -> None:
    connection = database.connect(role)
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def refused(database: postgres.Database, role: postgres.Role, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        allowed(database, role, statement)


def lock() -> int:
    """Some file; a demo has its folder's."""
    return os.open("/", os.O_RDONLY)
