"""The cluster on this machine itself: an Engine for machines without Docker and without a registry."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import binaries
import containerd
import debian
import images
import kubeadm
import project
import settings
from cache import remove
from settings import CACHE, CLUSTER_PACKAGES, RUN, TEST_PACKAGES
from shell import say, step, unmount_below

KUBECONFIG = settings.KUBECONFIG
LOCK = Path("/run/lock/bucketops-cluster.lock")


def up() -> None:
    """Build what is missing, then start the cluster or keep the one that runs."""
    debian.require_debian()
    debian.install((*CLUSTER_PACKAGES, *TEST_PACKAGES))
    _build()
    if kubeadm.healthy():
        say("✓ the cluster runs already")
    else:
        kubeadm.down()
        kubeadm.up()
    containerd.load(*images.STORAGE)


def down() -> None:
    debian.require_debian()
    kubeadm.down()


def clean() -> None:
    """Remove everything that this program keeps, here and in the user's cache."""
    down()
    with step(f"removing {RUN} and what is built in {CACHE}"):
        unmount_below(RUN, CACHE)
        for folder in (RUN, *(CACHE / name for name in ("binaries", "images", "buildah", "logs"))):
            remove(folder)


def load_project_image() -> str:
    return project.load()


def kill_kubelet() -> None:
    kubeadm.kill_kubelet()


def program_folders() -> list[Path]:
    return [binaries.folder(program) for program in (binaries.KUBERNETES, binaries.HELM)]


def _build() -> None:
    """Debian's packages come over the network while Go keeps the processors busy."""
    with ThreadPoolExecutor() as pool:
        postgres = pool.submit(images.build, images.POSTGRES)
        for program in binaries.ALL:
            binaries.folder(program)
        postgres.result()
    for image in (*images.CONTROL_PLANE, *images.STORAGE):
        images.build(image)
