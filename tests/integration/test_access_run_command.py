"""`bucketops run` with an S3Access: the key that is made goes to a file that its owner alone may read."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_api import names
from support.access import AccessLab, matrix
from support.avatars import s3_client

pytestmark = pytest.mark.slow

BUCKETOPS = str(Path(sys.executable).with_name("bucketops"))


def run(lab: AccessLab, folder: Path, spec: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
    manifest = {
        "apiVersion": "bucketops.dev/v1alpha1",
        "kind": "S3Access",
        "metadata": {"name": "user-a"},
        "spec": spec,
    }
    secret = {"kind": "Secret", "metadata": {"name": "minio-admin"}, "stringData": lab.admin(spec)}
    (folder / "access.yaml").write_text(yaml.safe_dump_all([manifest, secret]))
    command = [BUCKETOPS, "run", "--in-process", "--file", "access.yaml", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def read(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_the_key_is_written_once_and_used_again(access_lab: AccessLab, tmp_path: Path) -> None:
    lab, spec, file = access_lab, access_lab.spec(), tmp_path / "user-a-s3.env"
    done = run(lab, tmp_path, spec)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = read(file)
    user = s3_client(lab.endpoint, made[names.ACCESS_KEY], made[names.SECRET_KEY])
    assert all(matrix(user, lab.name("bucket-a")).values())
    assert made[names.SECRET_KEY] not in done.stdout + done.stderr
    assert run(lab, tmp_path, spec).returncode == 0
    assert read(file) == made
    assert lab.keys(spec["user"]) == [made[names.ACCESS_KEY]]


def test_a_file_that_is_deleted_is_a_rotation(access_lab: AccessLab, tmp_path: Path) -> None:
    lab, spec, file = access_lab, access_lab.spec(), tmp_path / "elsewhere.env"
    first = run(lab, tmp_path, spec, "--secret", "user-a-s3=elsewhere.env")
    assert first.returncode == 0, first.stderr
    old = read(file)
    file.unlink()
    assert run(lab, tmp_path, spec, "--secret", "user-a-s3=elsewhere.env").returncode == 0
    assert read(file)[names.ACCESS_KEY] != old[names.ACCESS_KEY]
    assert len(lab.keys(spec["user"])) == 2
    assert not (tmp_path / "user-a-s3.env").exists()
