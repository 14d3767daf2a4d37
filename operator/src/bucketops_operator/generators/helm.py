"""The helm program: the one edge of the generators that is not a function of data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from bucketops_operator.generators import Files
from bucketops_operator.generators.chart import CHART

KUBERNETES = "1.31.0"
"""The oldest that the chart supports: what is rendered must not depend on helm's own notion of it."""


@cache
def find(root: Path) -> str:
    """HELM of the environment, helm of the PATH, or the one that the test cluster builds."""
    return os.environ.get("HELM") or shutil.which("helm") or _built(root)


def _built(root: Path) -> str:
    made = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(root / "tests/cluster"), "tool", "helm"], stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode or not made.stdout.strip():
        raise FileNotFoundError("helm is needed: put it on the PATH, or set HELM to its path")
    return made.stdout.split()[-1]


def template(root: Path, made: Files, namespace: str, *options: str) -> str:
    """Render the chart of `root` with `made` laid over it, under the name of bucketops and without its tests."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, CHART)
        shutil.copytree(root / CHART, chart)
        for path, text in made.items():
            if path.is_relative_to(CHART):
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_text(text, encoding="utf-8")
        command = [find(root), "template", "bucketops", str(chart), "--namespace", namespace]
        command += ["--include-crds", "--skip-tests", "--kube-version", KUBERNETES, *options]
        return _output(command)


def _output(command: list[str]) -> str:
    """Errors of helm say what is wrong with the chart or the values: they are shown as they are."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return done.stdout
