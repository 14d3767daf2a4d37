"""The project's own image: its tag is a digest of its sources, so that changed code is a new image."""

import os
import re
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import containerd
import images
from cache import digest_of, locked
from settings import BASE_IMAGE, CACHE, PROJECT, PROJECT_IMAGE, PROJECT_SOURCES
from shell import ClusterError, run, step, succeeds

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")  # the same place in Debian's images as on a Debian host


def name() -> str:
    """The image's name with the tag that its sources have now."""
    if not (PROJECT / "Dockerfile").exists():
        raise ClusterError(f"there is no Dockerfile in {PROJECT}")
    return f"{PROJECT_IMAGE}:{digest_of(*(PROJECT / source for source in PROJECT_SOURCES))}"


def load() -> str:
    """Have the image in our containerd, built if its sources changed; its name."""
    image = name()
    if image not in containerd.names():
        with locked(CACHE / "project.lock"):
            _build(image)
            with step(f"loading image {image}"), tempfile.TemporaryDirectory(dir=CACHE) as folder:
                archive = Path(folder, "image.tar")
                images.save(image, archive)
                containerd.load_archive(archive)
    containerd.tag(image, released())
    return image


def released() -> str:
    """The name that manifests/ have: of the version that is going to be released."""
    version = re.search(r'^appVersion: "(.+)"$', (PROJECT / "charts/bucketops/Chart.yaml").read_text(), re.MULTILINE)
    if not version:
        raise ClusterError("charts/bucketops/Chart.yaml has no appVersion")
    return f"{PROJECT_IMAGE}:{version[1]}"


def _build(image: str) -> None:
    if succeeds(*images.BUILDAH, "inspect", "--type", "image", image):
        return
    images.base()
    with step(f"building image {image}"), pip_volumes() as volumes:
        base = f"--build-arg=BASE={BASE_IMAGE}"  # built here: no registry knows its digest
        run(*images.BUILD, "--tag", image, base, *volumes, PROJECT)


@contextmanager
def pip_volumes() -> Iterator[tuple[str, str]]:
    """Buildah's options with which pip in a build finds what it finds on this machine."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as pip:
        _pip_config().write(pip)
        pip.flush()
        yield f"--volume={pip.name}:/etc/pip.conf:ro", f"--volume={_ca_bundle()}:{CA_BUNDLE}:ro"


def _pip_config() -> ConfigParser:
    """What this machine tells pip, by files and by variables, but for what is local to it."""
    config = ConfigParser(interpolation=None)
    config.read(["/etc/pip.conf", *(Path.home() / file for file in (".pip/pip.conf", ".config/pip/pip.conf"))])
    if not config.has_section("global"):
        config.add_section("global")
    for variable, value in os.environ.items():
        if variable.startswith("PIP_") and variable != "PIP_CONFIG_FILE":
            config["global"][variable.removeprefix("PIP_").lower().replace("_", "-")] = value
    config.remove_option("global", "find-links")
    config["global"]["cert"] = str(CA_BUNDLE)
    return config


def _ca_bundle() -> Path:
    return Path(os.environ.get("SSL_CERT_FILE") or CA_BUNDLE)
