"""A virtual environment that holds a release's wheels and what those say that they need, and nothing else.

What they need is linked from the packages that the tests themselves have: nothing is downloaded, and an import of
something that no wheel asks for fails, as it would on the machine of a user.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def clean_environment(folder: Path, wheels: Iterable[Path]) -> Path:
    """Return the folder of the programs of a new environment in `folder`."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", *wheels], check=True)
    site = next((folder / "lib").glob("python3*/site-packages"))
    ours = list(site.glob("bucketops*.dist-info/METADATA"))
    needs = {need for metadata in ours for need in _needs(metadata.read_text().partition("\n\n")[0])}
    for name in sorted(closure(needs)):
        _link(name, site)
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    return folder / "bin"


def _needs(headers: str) -> Iterator[Requirement]:
    for line in headers.splitlines():
        if line.startswith("Requires-Dist: "):
            yield Requirement(line.removeprefix("Requires-Dist: "))


def closure(needs: Iterable[Requirement]) -> set[str]:
    """Return the names of the distributions that are needed here, ours left out."""
    found: set[tuple[str, str]] = set()
    waiting = [(need, "") for need in needs]
    while waiting:
        need, of_extra = waiting.pop()
        if need.marker and not need.marker.evaluate({"extra": of_extra}):
            continue
        name = canonicalize_name(need.name)
        for extra in ("", *need.extras):
            if (name, extra) not in found and not name.startswith("bucketops"):
                found.add((name, extra))
                waiting += [(Requirement(text), extra) for text in distribution(name).requires or []]
    return {name for name, _ in found}


def _link(name: str, site: Path) -> None:
    """Link each file of an installed distribution to its place below another folder of packages."""
    installed = distribution(name)
    if installed.files is None:
        raise PackageNotFoundError(name)
    for file in installed.files:
        if not PurePath(file).is_relative_to("..") and file.suffix != ".pyc":
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).symlink_to(Path(str(installed.locate_file(file))).resolve())
