"""`bucketops run` for a lab's migration: the file, its Secrets, the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

BUCKETOPS = str(Path(sys.executable).with_name("bucketops"))


def beside(lab: Any, folder: Path, spec: dict[str, Any], *, secrets: bool = True) -> list[str]:
    """The command for a spec, its Secrets beside it in the same file."""
    given = lab.secrets(spec).items() if secrets else ()
    documents = [{"kind": "Secret", "metadata": {"name": name}, "stringData": data} for name, data in given]
    return _command(folder, spec, *documents)


def apart(lab: Any, folder: Path, spec: dict[str, Any]) -> list[str]:
    """The command for a spec, each of its Secrets in an env file of its own."""
    command = _command(folder, spec)
    for name, data in lab.secrets(spec).items():
        file = folder / f"{name}.env"
        file.write_text("".join(f"{key}={value}\n" for key, value in data.items()))
        command += ["--secret", f"{name}={file}"]
    return command


def _command(folder: Path, spec: dict[str, Any], *others: dict[str, Any]) -> list[str]:
    manifest = {"apiVersion": "bucketops.dev/v1alpha1", "kind": "S3Migration", "metadata": {"name": "avatars"}}
    file = folder / "migration.yaml"
    file.write_text(yaml.safe_dump_all([manifest | {"spec": spec}, *others]))
    return [BUCKETOPS, "run", "--file", str(file)]
