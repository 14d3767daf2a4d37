"""The Debian packages that the cluster needs on this machine."""

import os
import shutil

from settings import DEBIAN_PACKAGES
from shell import ClusterError, run, step


def install() -> None:
    """Install what is missing, and ask the package servers for nothing if nothing is."""
    require_root()
    missing = [package for package in DEBIAN_PACKAGES if package not in _installed()]
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing Debian packages {' '.join(missing)}"):
        run("apt-get", "update", "-q", env=quiet)
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quiet)


def require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("a cluster on the host itself needs root; with Docker use: up --engine kind")
    if not shutil.which("apt-get"):
        raise ClusterError("a cluster on the host itself needs Debian; with Docker use: up --engine kind")


def _installed() -> set[str]:
    status = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n")
    return {line.split()[0] for line in status.splitlines() if line.endswith(" installed")}
