"""The programs whose start is measured: a worker of each kind with its files, the commands, the operator."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bucketops_api import names
from bucketops_api.contract import Artifact, RunSpec, resolved, run_file
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_api.v1alpha1.common import Model
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_api.v1alpha1.retention import RetentionSpec

NAMESPACE, NAME, PASSWORD = "default", "bench", "hunter2-hunter2"
EXAMPLE = Path(__file__).parents[2] / "manifests" / "examples" / "s3migration.yaml"
SPECS: Mapping[str, type[Model]] = {
    "S3Migration": MigrationSpec,
    "S3Retention": RetentionSpec,
    "ExifPipeline": PipelineSpec,
    "S3Access": AccessSpec,
}
"""What a worker of each kind is given."""
BASE = "python -c pass"
"""What Python itself costs."""


@dataclass(frozen=True)
class Program:
    """Its start is over when it first calls a server, or else when it ends."""

    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    calls: bool = False


def programs(endpoint: str, folder: Path) -> dict[str, Program]:
    """All of them by their names; what calls a server calls `endpoint`, and its files are below the folder."""
    command = Path(sys.executable).with_name("bucketops")
    made = {BASE: Program([sys.executable, "-I", "-c", "pass"])}
    made |= {f"worker: {kind} {phase}": worker for kind, phase, worker in _workers(endpoint, folder)}
    return made | {
        "bucketops run, to the worker's call": _run(command, endpoint, folder),
        "bucketops --help": Program([command, "--help"]),
        "bucketops run --help": Program([command, "run", "--help"]),
        "bucketops strip --help": Program([command, "strip", "--help"]),
        "bucketops policy S3Migration": Program([command, "policy", "S3Migration", "-f", EXAMPLE]),
        "operator: imports": Program([sys.executable, "-I", "-c", "import bucketops_operator.__main__"]),
    }


def _workers(endpoint: str, folder: Path) -> Iterator[tuple[str, str, Program]]:
    for kind, phase, spec in _specs(endpoint):
        root = folder / f"{kind} {phase}"
        run = RunSpec(
            kind=kind,
            phase=phase.split()[0],
            namespace=NAMESPACE,
            name=NAME,
            run=f"{NAME}-1",
            plan=Artifact(key="plan", sha256=""),
            spec=resolved(SPECS[kind].model_validate(spec)),
        )
        _write(root / names.RUN_FILE, run_file(run))
        for name, keys in _secrets(kind, endpoint).items():
            for key, value in keys.items():
                _write(root / names.SECRETS_DIR / name / key, value)
        environment = {
            names.ENV_ROOT: str(root),
            names.ENV_RESULT: str(root / "result"),
            names.ENV_METRICS_PORT: "0",
            names.ENV_LISTEN: "127.0.0.1",
        }
        yield kind, phase, Program([sys.executable, "-I", "-m", "bucketops_jobs"], environment, calls=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _specs(endpoint: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    credentials = {"credentials": {"secretRef": {"name": "s3"}}}
    first, second = ({"bucket": name, "endpoint": endpoint, **credentials} for name in ("bucket-a", "bucket-b"))
    both = {"source": first, "destination": second}
    references = [{"table": "avatars", "column": "path"}]
    database = {"credentials": {"secretRef": {"name": "database"}}, "references": references}
    yield "S3Migration", "preflight", {**both, "database": database}
    yield "S3Migration", "copy", {**both, "database": database}
    yield "S3Retention", "retain", {"bucket": first, "keep": {"last": 5}}
    yield "ExifPipeline", "sweep", {**both, "onNotJpeg": "Skip"}
    access = {
        "admin": {"endpoint": endpoint, **credentials},
        "user": "user-a",
        "grants": [{"bucket": "bucket-a", "access": "ReadOnly"}],
        "credentialsSecret": {"name": "made"},
    }
    yield "S3Access", "grant on MinIO", {"provider": "MinIO", **access}
    yield "S3Access", "grant on AWS", {"provider": "AWS", **access}


def _secrets(kind: str, endpoint: str) -> dict[str, dict[str, str]]:
    pair = {names.ACCESS_KEY: "access", names.SECRET_KEY: PASSWORD}
    ours = names.secret_mark(kind, NAMESPACE, NAME, endpoint)
    return {
        "s3": pair,
        "made": {**pair, names.SECRET_GIVEN_KEY: ours},
        "database": {"DATABASE_URL": f"postgresql://site:{PASSWORD}@{endpoint.removeprefix('http://')}/site"},
    }


def _run(command: Path, endpoint: str, folder: Path) -> Program:
    """A migration on a laptop: operator and worker."""
    kind, _, spec = next(_specs(endpoint))
    documents: list[Any] = [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": NAME}, "spec": spec},
        *(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys}
            for name, keys in _secrets(kind, endpoint).items()
        ),
    ]
    file = folder / "migration.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return Program([command, "run", "-f", file], calls=True)
