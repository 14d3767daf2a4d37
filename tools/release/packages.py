"""The distributions, the chart and the manifest: what needs no container tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from release.archives import repack
from release.sources import EPOCH

PROJECTS = ("api", "operator", "jobs", "cli")
CHART = "charts/bucketops"


def distributions(tree: Path, into: Path, epoch: int) -> None:
    """Build a wheel and an sdist of each project with the hatchling that is installed: nothing is downloaded."""
    environ = os.environ | {EPOCH: str(epoch)}
    for project in PROJECTS:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(into)]
        subprocess.run(command, cwd=tree / project, env=environ, check=True, capture_output=True)


def chart(tree: Path, into: Path, epoch: int, helm: str) -> Path:
    """Package the chart and return its path: under a name that pip does not take for an sdist of `bucketops`."""
    command = [helm, "package", str(tree / CHART), "--destination", str(into)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    archive = Path(said.strip().rpartition(": ")[2])
    archive = archive.rename(archive.with_name(archive.name.replace("bucketops-", "bucketops-chart-")))
    repack(archive, epoch)
    return archive


def manifest(tree: Path, into: Path) -> None:
    """Copy install.yaml, which `make verify` compares with the chart."""
    shutil.copyfile(tree / "manifests/install.yaml", into / "install.yaml")
