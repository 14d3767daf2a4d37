"""The container images of the cluster, built here because there may be no registry to pull from.

Each image is a folder of images/ with a Dockerfile, built by Buildah and kept as an archive. Its manifests'
names are those of the public images, so that the same manifests work where those can be pulled.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import binaries
from cache import cached, digest_of, locked, remove
from settings import (
    BASE_IMAGE,
    CACHE,
    COREDNS_VERSION,
    DEBIAN_SUITE,
    ETCD_VERSION,
    HERE,
    KUBERNETES_IMAGES,
    KUBERNETES_VERSION,
    MINIO_IMAGE,
    PAUSE_IMAGE,
    POSTGRES_IMAGE,
)
from shell import run, step, succeeds

RECIPES = HERE / "images"
ARCHIVES = CACHE / "images"
BUILDAH = ("buildah", "--root", str(CACHE / "buildah" / "storage"), "--runroot", str(CACHE / "buildah" / "run"))
BUILD = (*BUILDAH, "build", "--isolation", "chroot", "--network", "host", "--pull=false", "--layers")
BASE_PACKAGES = "ca-certificates,python3,python3-venv"
UNNEEDED = ("./dev/*", "./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./var/cache/apt/*",
            "./var/lib/apt/lists/*", "./usr/lib/python3*/EXTERNALLY-MANAGED")  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image: its recipe's name, the names that pods know it by, and what is copied or inherited."""

    recipe: str
    names: tuple[str, ...]
    programs: tuple[binaries.Program, ...] = ()
    on_base: bool = False

    @property
    def content(self) -> str:
        """A digest of all that goes into it."""
        programs = (program.folder.name for program in self.programs)
        return digest_of(RECIPES / self.recipe, base_digest() if self.on_base else "", *programs, *self.names)

    @property
    def archive(self) -> Path:
        return ARCHIVES / f"{self.recipe}-{self.content}.tar"


def base_digest() -> str:
    return digest_of(RECIPES / "base", DEBIAN_SUITE, BASE_PACKAGES, *UNNEEDED)


def _components() -> tuple[str, ...]:
    versions = {"etcd": ETCD_VERSION}
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
    return tuple(f"{KUBERNETES_IMAGES}/{name}:{versions.get(name, f'v{KUBERNETES_VERSION}')}" for name in names)


KUBERNETES = Image("kubernetes", _components(), (binaries.KUBERNETES,), on_base=True)
COREDNS = Image("coredns", (f"{KUBERNETES_IMAGES}/coredns:{COREDNS_VERSION}",), (binaries.COREDNS,))
PAUSE = Image("pause", (PAUSE_IMAGE,), (binaries.PAUSE,))
MINIO = Image("minio", (MINIO_IMAGE,), (binaries.MINIO,))
POSTGRES = Image("postgres", (POSTGRES_IMAGE,), on_base=True)
CONTROL_PLANE = (PAUSE, KUBERNETES, COREDNS)
STORAGE = (MINIO, POSTGRES)


def build(image: Image) -> Path:
    """The image as an archive, built if it was not yet."""
    for program in image.programs:
        binaries.folder(program)

    def make(target: Path) -> None:
        if image.on_base:
            base()
        with step(f"building image {image.recipe}"):
            contexts = [f"--build-context={program.name}={program.folder}" for program in image.programs]
            run(*BUILD, "--tag", image.names[0], *contexts, RECIPES / image.recipe)
            save(image.names[0], target)

    return cached(image.archive, make)


def save(name: str, target: Path) -> None:
    """Write an image that Buildah has to an archive which carries its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run(*BUILDAH, "push", name, f"docker-archive:{target}:{name}")


def base() -> None:
    """Have the base image in Buildah's storage, where the Dockerfiles that start from it look for it."""
    marker = f"{KUBERNETES_IMAGES}/base:{base_digest()}"
    with locked(CACHE / "base.lock"):
        if succeeds(*BUILDAH, "inspect", "--type", "image", marker):
            return
        archive = cached(ARCHIVES / f"rootfs-{base_digest()}.tar", _debootstrap)
        with step(f"building image {BASE_IMAGE}"), tempfile.TemporaryDirectory(dir=ARCHIVES) as context:
            Path(context, "rootfs.tar").hardlink_to(archive)
            run(*BUILD, "--tag", BASE_IMAGE, "--file", RECIPES / "base" / "Dockerfile", context)
            run(*BUILDAH, "tag", BASE_IMAGE, marker)


def _debootstrap(target: Path) -> None:
    """A minimal Debian with Python as a tar file; debootstrap asks the Debian servers it knows by itself."""
    root = target.with_suffix(".root")
    remove(root)
    with step(f"fetching Debian {DEBIAN_SUITE} for the base image"):
        run("debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", DEBIAN_SUITE, root)
        (root / "usr/bin/python").symlink_to("python3")
        left_out = [f"--exclude={pattern}" for pattern in UNNEEDED]
        run("tar", "--create", "--file", target, "--directory", root, "--numeric-owner", *left_out, ".")
        remove(root)
