"""A start imports what it needs: each worker until it first calls a server, help until its end."""

from __future__ import annotations

import argparse
import os
import pkgutil
import re
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from bench.programs import SPECS, programs
from bucketops.__main__ import GROUP

PATIENCE = 120.0
LIBRARIES = {
    *("boto3", "botocore", "urllib3", "minio", "psycopg2", "prometheus_client", "PIL", "kubernetes", "kopf", "rich"),
    *("yaml", "bucketops", "bucketops_operator", "http.server", "email.mime", "xml.sax", "wsgiref"),
}
"""None of these is needed before a worker calls a server, but for what NEEDED says."""
NEEDED = {
    "S3Migration": {"psycopg2"},  # its first call is the database's
    "S3Access": {"boto3", "botocore", "urllib3", "minio"},  # its first call is one of boto3, here to MinIO
}
PACKAGES = {
    "S3Migration": {"bucketops_jobs.migration", "bucketops_api.v1alpha1.migration"},
    "S3Retention": {"bucketops_jobs.retention", "bucketops_api.v1alpha1.retention"},
    "ExifPipeline": {"bucketops_jobs.pipeline", "bucketops_jobs.exif", "bucketops_api.v1alpha1.exifpipeline"},
    "S3Access": {"bucketops_jobs.access", "bucketops_api.v1alpha1.access"},
}
"""What is of one kind alone."""
COMMANDS = {point.name: point for point in entry_points(group=GROUP)}
MINIMAL = {
    "demo": [],
    "policy": ["S3Migration", "-f", "avatars.yaml"],
    "run": ["-f", "avatars.yaml"],
    "strip": ["photo.jpg", "-d", "clean"],
}
_HELP = """
import sys
from bucketops.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
_LINE = re.compile(r"import time:[ \d]+\|[ \d]+\| +([\w.]+)$", re.MULTILINE)


def imported(start: str, folder: Path) -> set[str]:
    """All modules that a worker has imported when it calls a server, and the packages that they are in."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        found = programs(f"http://127.0.0.1:{server.getsockname()[1]}", folder)
        worker = next(program for name, program in found.items() if f"{name} ".startswith(f"worker: {start} "))
        # Without -I, which would leave out PYTHONPATH and so the sources of a mutant.
        command = [sys.executable, "-X", "importtime", *worker.command[2:]]
        with (folder / "imports").open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **worker.environment}, stderr=log)
            try:
                server.accept()[0].close()
            finally:
                process.kill()
                process.wait()
    modules = _LINE.findall((folder / "imports").read_text())
    return {name.rsplit(".", depth)[0] for name in modules for depth in range(name.count(".") + 1)}


@pytest.mark.parametrize("kind", SPECS)
def test_a_worker_that_calls_a_server_has_imported_its_own_kind_and_no_library_that_it_does_without(
    kind: str, tmp_path: Path
) -> None:
    found = imported(kind, tmp_path)
    others = {package for other, packages in PACKAGES.items() if other != kind for package in packages}
    assert found >= PACKAGES[kind]
    assert not found & (LIBRARIES - NEEDED.get(kind, set()))
    assert not found & others


def test_a_worker_for_users_of_aws_has_not_imported_the_client_of_minio(tmp_path: Path) -> None:
    found = imported("S3Access grant on AWS", tmp_path)
    assert "bucketops_jobs.access.aws_users" in found
    assert not found & {"minio", "bucketops_jobs.access.minio_users"}


@pytest.mark.parametrize("named", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_imports_the_arguments_of_what_is_asked_for_and_none_of_its_work(named: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", _HELP, *named, "--help"], capture_output=True, text=True, check=True)
    found = set(done.stderr.split())
    assert {point.name for point in COMMANDS.values() if point.module in found} == set(named or COMMANDS)
    assert not found & (LIBRARIES - {"bucketops", "bucketops_operator"} | {"pydantic", "asyncio"})


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_a_function_that_is_there(name: str) -> None:
    parser = argparse.ArgumentParser()
    COMMANDS[name].load()(parser.add_subparsers())
    run = parser.parse_args([name, *MINIMAL[name]]).run
    assert callable(pkgutil.resolve_name(run))
