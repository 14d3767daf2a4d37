"""The image as an OCI archive, built by Buildah from packages that were fetched before, and its SBOM."""

from __future__ import annotations

import json
import re
import tempfile
from configparser import ConfigParser
from pathlib import Path

import images
import project
from bucketops_api.release import IMAGE, TAG
from cache import cached, digest_of
from release import layout, sbom
from release.archives import pack
from settings import BASE_IMAGE, CACHE
from shell import run, step, succeeds

WHEELS = "/wheels"
_FETCH = f"""\
ARG BASE
FROM ${{BASE}}
COPY runtime.lock /tmp/
RUN python3 -m venv /tmp/venv && \
 /tmp/venv/bin/pip download --quiet --require-hashes --only-binary :all: --dest {WHEELS} --requirement /tmp/runtime.lock
"""


def release(tree: Path, into: Path, epoch: int, revision: str, *, cache: bool) -> list[str]:
    """Build image and SBOM into a folder; return what is to be said about them."""
    base, notes = base_of(tree)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, step(f"building image {IMAGE}"):
        work = Path(folder)
        build(tree, base, revision, cache=cache)
        run(*images.BUILDAH, "push", IMAGE, f"oci:{work}:{IMAGE}")
        platform = layout.normalise(work, epoch, base)
        archive = into / f"bucketops-{TAG}-image-{platform}.oci.tar"
        pack(work, archive, epoch)
    document = sbom.document(archive, epoch)
    archive.with_suffix("").with_suffix(".spdx.json").write_text(
        json.dumps(document, indent=1) + "\n", encoding="utf-8"
    )
    return notes


def base_of(tree: Path) -> tuple[str, list[str]]:
    """Return the base by digest where a registry is reached, else the one that stands in for it, and a word on that."""
    named = re.search(r"^ARG BASE=(\S+)$", (tree / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    if named and (succeeds(*images.BUILDAH, "pull", f"docker.io/library/{named[1]}")):
        return f"docker.io/library/{named[1]}", []
    images.base()
    return BASE_IMAGE, [
        f"no registry was reached: the image is based on a Debian made here, not on {named and named[1]}"
    ]


def build(tree: Path, base: str, revision: str, *, cache: bool) -> None:
    """Build the image of a tree, without a package index; Debian's layer may come from Buildah's cache."""
    config = ConfigParser(interpolation=None)
    config["global"] = {"no-index": "true", "find-links": WHEELS}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as pip:
        config.write(pip)
        pip.flush()
        volumes = (f"--volume={pip.name}:/etc/pip.conf:ro", f"--volume={wheels(tree, base)}:{WHEELS}:ro")
        options = (f"--build-arg=BASE={base}", f"--label=org.opencontainers.image.revision={revision}")
        fresh = () if cache else ("--no-cache",)
        run(*images.BUILD, *fresh, "--identity-label=false", "--tag", IMAGE, *options, *volumes, tree)


def wheels(tree: Path, base: str) -> Path:
    """Return a folder with the locked packages for the base's Python, fetched when the lock is new."""
    lock = tree / "requirements" / "runtime.lock"

    def fetch(target: Path) -> None:
        target.mkdir(parents=True)
        with step("fetching the locked packages"), tempfile.TemporaryDirectory() as folder:
            Path(folder, "Dockerfile").write_text(_FETCH, encoding="utf-8")
            Path(folder, "runtime.lock").write_bytes(lock.read_bytes())
            with project.pip_volumes() as volumes:
                mounts = (*volumes, f"--volume={target}:{WHEELS}:rw")
                run(*images.BUILDAH, *_BUILD, f"--build-arg=BASE={base}", *mounts, folder)

    return cached(CACHE / "wheels" / digest_of(lock, base), fetch)


_BUILD = ("build", "--isolation", "chroot", "--network", "host", "--pull=false", "--no-cache")
