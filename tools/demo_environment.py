"""`make demo`: a virtual environment with what the demo needs, in one go and with words for what goes wrong.

    python tools/demo_environment.py FOLDER

Only the standard library: this is the first thing that runs on a fresh machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "jobs", "operator", "cli")
OLDEST = (3, 11)
NEEDED = 700 << 20
"""Bytes of disk that the environment takes, at most."""
QUICK = ("--quiet", "--disable-pip-version-check", "--no-compile", "--no-input")
ELSEWHERE = """`make demo ENGINE=kind` shows the same in a Kubernetes of Docker, and `make demo ENGINE=host` in one that
is built on a Debian, by root."""
NO_BUILD = f"""{{0}} has no build for this platform and this Python. There are builds for Linux (glibc; x86-64, ARM64)
and macOS (Apple silicon), and for Python 3.11 to 3.14: PYTHON=python3.13 chooses another. Or, without them:
{ELSEWHERE}"""
NO_ROOM = "the disk is full: the demo's packages take 700 MB here, and pip unpacks them in $TMPDIR first"
NO_INDEX = (
    "the package index cannot be reached, and the first `make demo` needs it: see `pip config list` and HTTPS_PROXY"
)
NO_MATCH = "a package is not the one that requirements/demo.lock names: its index has another, or it changed on the way"
_NETWORK = (
    "Temporary failure in name resolution",
    "NameResolutionError",
    "getaddrinfo failed",
    "Failed to establish a new connection",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "ProxyError",
)
CAUSES = (
    (r"No space left on device", NO_ROOM),
    ("|".join(_NETWORK), NO_INDEX),
    (r"No matching distribution found for ([^=\s]+)", NO_BUILD),
    (r"DO NOT MATCH THE HASHES", NO_MATCH),
)
"""What pip says, and what that means. A network that fails comes first: pip then says that it finds nothing, too."""


class FailedError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def main() -> int:
    """Make the environment; exit code 1 and a sentence if that fails."""
    folder, began = Path(sys.argv[1]), time.monotonic()
    try:
        make(folder)
    except FailedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"• Python packages into {folder} ({time.monotonic() - began:.0f} s)", flush=True)  # noqa: T201 - a script
    return 0


def make(folder: Path) -> None:
    """Make the environment anew; FailedError."""
    if sys.version_info < OLDEST:
        raise FailedError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: PYTHON=… chooses another")
    if shutil.disk_usage(folder.parent).free < NEEDED:
        raise FailedError(NO_ROOM)
    _venv(folder)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", *QUICK]
    _pip([*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(ROOT / "requirements/demo.lock")])
    ours = [part for name in PACKAGES for part in ("--editable", str(ROOT / name))]
    _pip([*pip, "--no-build-isolation", "--no-deps", *ours])


def _venv(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    done = _run([sys.executable, "-m", "venv", str(folder)])
    if done.returncode:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise FailedError(
            f"{done.stdout.strip()[-1500:]}\n\npython -m venv fails; Debian and Ubuntu have it in {package}"
        )


def _pip(command: Sequence[str]) -> None:
    done = _run(command)
    if done.returncode:
        raise FailedError(explained(done.stdout))


def explained(output: str) -> str:
    """Return pip's words and what they mean."""
    for pattern, meaning in CAUSES:
        if found := re.search(pattern, output):
            return f"{output.strip()[-1500:]}\n\n{meaning.format(*found.groups())}"
    return f"{output.strip()[-3000:]}\n\npip fails. Without it:\n{ELSEWHERE}"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
