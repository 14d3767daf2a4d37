"""Our own containerd, with its own socket and folders: another one on this machine is left alone."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import processes
from images import Image, build
from settings import KUBERNETES_IMAGES, RUN
from shell import ClusterError, run, step, succeeds, wait_until

FOLDER = RUN / "containerd"
SOCKET = FOLDER / "containerd.sock"
CONFIG_FILE = FOLDER / "config.toml"
CTR = ("ctr", "--address", str(SOCKET), "--namespace", "k8s.io")


def start() -> None:
    """Start it and wait until it answers."""
    with step("starting containerd"):
        processes.start("containerd", "containerd", "--config", CONFIG_FILE)
        try:
            wait_until("containerd answers", 30, _answers)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{processes.log_end('containerd')}") from None


def _answers() -> bool:
    if not processes.alive("containerd"):
        raise ClusterError("containerd ended at its start")
    return SOCKET.exists() and succeeds(*CTR, "version")


def load(*wanted: Image) -> None:
    """Have the images; one more name, with the content's digest, tells which content is there already."""
    present = names()
    for image in wanted:
        others = f"{KUBERNETES_IMAGES}/content-of-{image.recipe}:"
        marker = others + image.content
        if marker not in present:
            with step(f"loading image {image.recipe}"):
                load_archive(build(image), *image.names[1:], marker)
                outdated = [name for name in present if name.startswith(others)]
                if outdated:
                    run(*CTR, "images", "remove", *outdated)


def load_archive(archive: Path, *more_names: str) -> None:
    """Import an archive, which brings one name, and give the image some more."""
    imported = re.search(r"unpacking (\S+) \(", run(*CTR, "images", "import", archive))
    if not imported:
        raise ClusterError(f"containerd did not say which image is in {archive}")
    for name in more_names:
        run(*CTR, "images", "tag", "--force", imported[1], name)


def tag(image: str, other: str) -> None:
    """Give an image another name, and take that from the image that had it."""
    run(*CTR, "images", "tag", "--force", image, other)


def names() -> set[str]:
    """The names of all images, each with its registry's name before it."""
    return set(run(*CTR, "images", "list", "--quiet").split())


def once(image: str, *command: str) -> None:
    """Run a command as root in the host's network, with the programs of an image instead of the host's."""
    run(*CTR, "run", "--rm", "--net-host", "--privileged", image, f"once-{os.getpid()}", *command, timeout=30)


def expect_empty() -> None:
    """Fail if any container is left."""
    if left := run(*CTR, "containers", "list", "--quiet").split():
        raise ClusterError(f"{len(left)} containers were not removed")


def stop() -> None:
    """Stop it, and whatever it had started that is still there."""
    processes.stop("containerd")
    for shim in filter(_is_our_shim, Path("/proc").glob("[0-9]*")):
        children = " ".join(threads.read_text() for threads in shim.glob("task/*/children"))
        for pid in (*children.split(), shim.name):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _is_our_shim(process: Path) -> bool:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return command[0].endswith(b"containerd-shim-runc-v2") and str(SOCKET).encode() in command
