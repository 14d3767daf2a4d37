"""A rollback on a laptop, with exactly the rights that `bucketops policy` prints for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops.__main__ import main
from bucketops_api import names
from support.access import ROOT
from support.avatars import LEGACY, name
from support.command import BUCKETOPS
from support.driver import condition
from support.identities import store_user

HEAD = {"apiVersion": "bucketops.dev/v1alpha1", "kind": "S3Migration"}
UNDO = HEAD | {"metadata": {"name": "undo"}, "spec": {"rollbackOf": "avatars"}}


def written(file: Path, *documents: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump_all(documents))
    return file


def named(spec: dict[str, Any]) -> dict[str, Any]:
    return HEAD | {"metadata": {"name": "avatars"}, "spec": spec}


def printed(capsys: pytest.CaptureFixture[str], file: Path, part: str) -> Any:
    assert main(["policy", "S3Migration", "-f", str(file), "--name", "undo", "--part", part]) == 0
    return capsys.readouterr().out


def test_what_was_moved_comes_back_with_the_rights_that_are_printed(
    lab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of the two identities with its own document alone; the migration stands beside in the file."""
    lab.world.seed(legacy=range(1, 13), modern=[1001])
    spec = lab.spec()
    migration = lab.drive(spec)
    assert condition(migration.finish(), "Complete")
    spec["source"] = spec["source"] | {"credentials": {"secretRef": {"name": "legacy-user"}}}
    spec["destination"] = spec["destination"] | {"credentials": {"secretRef": {"name": "production-user"}}}
    file = written(tmp_path / "undo.yaml", UNDO, named(spec))
    documents = {part: json.loads(printed(capsys, file, part)) for part in ("source", "destination", "records")}
    production = documents["source"]["Statement"] + documents["records"]["Statement"]
    users = {
        "production-user": store_user(lab.endpoint, ROOT, documents["source"] | {"Statement": production}),
        "legacy-user": store_user(lab.endpoint, ROOT, documents["destination"]),
    }
    former = {names.FORMER_SECRET_KEYS: lab.former[0]}  # the journal was sealed with it, and there is no status here
    secrets = {who: user.secret() | former for who, user in users.items()} | {"avatars-db": lab.database}
    beside = [{"kind": "Secret", "metadata": {"name": who}, "stringData": data} for who, data in secrets.items()]
    written(file, UNDO, named(spec), *beside)
    command = [BUCKETOPS, "run", "-f", str(file), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "Succeeded: 12 objects copied back" in done.stderr
    assert lab.world.paths()[:12] == [LEGACY + name(n) for n in range(1, 13)]
    assert len(lab.world.keys(lab.world.destination)) == 1


@pytest.mark.parametrize("command", [["run"], ["policy", "S3Migration"]], ids=["run", "policy"])
def test_the_migration_belongs_into_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    file = written(tmp_path / "undo.yaml", UNDO)
    assert main([*command, "-f", str(file)]) == 64
    assert "write the S3Migration avatars, which rollbackOf names" in capsys.readouterr().err
