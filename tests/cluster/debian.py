"""The Debian packages that the cluster and the tests need on this machine."""

import os
import shutil
from collections.abc import Sequence

from shell import ClusterError, run, say, step


def install(packages: Sequence[str]) -> None:
    """Install what is missing; root and the package servers are needed only if something is."""
    if not shutil.which("dpkg-query"):
        say(f"• this is no Debian: have the programs of these packages on the PATH: {' '.join(packages)}")
        return
    missing = [package for package in packages if package not in _installed()]
    if not missing:
        return
    require_root(f"to install {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing Debian packages {' '.join(missing)}"):
        run("apt-get", "update", "-q", env=quiet)
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quiet)


def require_root(purpose: str) -> None:
    """ClusterError unless this is root."""
    if os.geteuid() != 0:
        raise ClusterError(f"root is needed {purpose}")


def require_debian() -> None:
    """ClusterError unless a cluster can be made on the host itself."""
    require_root("for a cluster on the host itself; with Docker use: up --engine kind")
    if not shutil.which("apt-get"):
        raise ClusterError("a cluster on the host itself needs Debian; with Docker use: up --engine kind")


def _installed() -> set[str]:
    status = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n")
    return {line.split()[0] for line in status.splitlines() if line.endswith(" installed")}
