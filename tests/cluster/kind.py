"""The cluster in Docker, made by kind: an Engine for everybody else's machine."""

import os
import shutil
from pathlib import Path

import project
from cache import remove
from settings import CACHE, PROJECT
from shell import ClusterError, run, step, succeeds

NAME = "bucketops"  # as in kind-config.yaml
KUBECONFIG = CACHE / "kind.kubeconfig"
LOCK = CACHE / "kind.lock"


def up() -> None:
    """Have kind's cluster; Docker pulls the images that the manifests name."""
    _require("docker", "kind", "kubectl", "helm")
    if NAME in run("kind", "get", "clusters").split():
        run("kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", KUBECONFIG)
        if succeeds("kubectl", "--kubeconfig", KUBECONFIG, "get", "--raw=/readyz", "--request-timeout=5s"):
            return
        down()
    with step("creating the kind cluster"):
        config = PROJECT / "kind-config.yaml"
        node = os.environ.get("KIND_NODE_IMAGE")  # another version of Kubernetes
        image = ("--image", node) if node else ()
        run("kind", "create", "cluster", "--config", config, "--kubeconfig", KUBECONFIG, "--wait", "180s", *image)


def down() -> None:
    _require("docker", "kind")
    with step("deleting the kind cluster"):
        run("kind", "delete", "cluster", "--name", NAME)
        remove(KUBECONFIG)


def clean() -> None:
    down()


def load_project_image() -> str:
    """Docker's own cache makes an unchanged build short."""
    image = project.name()
    with step(f"building image {image}"):
        run("docker", "build", "--tag", image, "--tag", project.released(), PROJECT)
    with step(f"loading image {image}"):
        run("kind", "load", "docker-image", image, project.released(), "--name", NAME)
    return image


def kill_kubelet() -> None:
    """The unit in the node's image starts it again."""
    run("docker", "exec", f"{NAME}-control-plane", "systemctl", "kill", "--signal=SIGKILL", "kubelet")


def program_folders() -> list[Path]:
    return []


def _require(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise ClusterError(f"a kind cluster needs {', '.join(missing)}; without Docker use: up --engine host")
    if not succeeds("docker", "info"):
        raise ClusterError("Docker does not answer: is its engine running?")
