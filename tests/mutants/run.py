"""`make mutants`: take each guard away in turn and see the named test go red.

A patch begins with what it takes away, and with the test that must notice:
    Invariant: a committed row never names a missing object
    Test: tests/unit/jobs/test_merge.py::test_…
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("api/src", "operator/src", "jobs/src", "cli/src", "tools")
AT_ONCE = 2
"""Tests beside each other, as in `make test`."""


@dataclass(frozen=True)
class Mutant:
    """One patch and what it is about."""

    patch: Path
    invariant: str
    test: str

    @classmethod
    def read(cls, patch: Path) -> Mutant:
        fields = dict(re.findall(r"^(Invariant|Test): (.+)$", patch.read_text(), flags=re.MULTILINE))
        return cls(patch, fields["Invariant"], fields["Test"])


def mutants() -> list[Mutant]:
    """All that there are."""
    return [Mutant.read(patch) for patch in sorted(Path(__file__).parent.glob("*.patch"))]


def main() -> int:
    """Exit 0 only when every mutant is found, and each test is green without it."""
    chosen = [mutant for mutant in mutants() if not sys.argv[1:] or mutant.patch.stem in sys.argv[1:]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        survivors = sum(verdict != "found" for verdict in pool.map(tell, chosen))
    print(f"{len(chosen) - survivors} passed, {survivors} failed")
    return 1 if survivors else 0


def tell(mutant: Mutant) -> str:
    """Judge, and print what came of it."""
    began = time.monotonic()
    verdict = judge(mutant)
    print(f"{verdict:10} {mutant.patch.stem:36} {mutant.invariant} ({time.monotonic() - began:.0f} s)", flush=True)
    return verdict


def judge(mutant: Mutant) -> str:
    """found: the test is green without the patch and red with it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in (*SOURCES, "tests", "manifests", "pyproject.toml"):
            _copy(ROOT / name, copy / name)
        if not _green(mutant.test):
            return "red before"
        applied = subprocess.run(["git", "apply", "--unsafe-paths", mutant.patch], cwd=copy, check=False)
        if applied.returncode:
            return "outdated"
        return "survived" if _passes(copy, mutant.test) else "found"


@functools.cache
def _green(test: str) -> bool:
    """Whether a test passes on the sources as they are; several mutants may name it."""
    return _passes(ROOT, test)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _passes(copy: Path, test: str) -> bool:
    """The copy's sources come before the installed ones."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(copy / name) for name in SOURCES)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
