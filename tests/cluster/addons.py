"""What is installed into a cluster, whichever engine made it: test storage and the project itself."""

import os
import tempfile
from pathlib import Path

from engine import Engine
from settings import CHART, MANIFESTS
from shell import ClusterError, run, step

NAMESPACE = "bucketops-system"
STORAGE = ("minio", "postgres")


def environment(engine: Engine) -> dict[str, str]:
    """The variables with which kubectl and helm are found and find the cluster."""
    path = [*map(str, engine.program_folders()), os.environ["PATH"]]
    return {"KUBECONFIG": str(engine.KUBECONFIG), "PATH": os.pathsep.join(path)}


def install_storage(engine: Engine) -> None:
    """Have MinIO and PostgreSQL in the namespace storage, ready for use."""
    env = environment(engine)
    with step("installing MinIO and PostgreSQL"):
        for name in STORAGE:
            run("kubectl", "apply", "-f", MANIFESTS / f"{name}.yaml", env=env)
        for name in STORAGE:
            rollout = ("rollout", "status", f"deployment/{name}", "--namespace=storage", "--timeout=180s")
            run("kubectl", *rollout, env=env)


def install_project(engine: Engine) -> None:
    """Have the operator of this checkout, by its packaged Helm chart; a changed image rolls out by its new tag."""
    if not (CHART / "Chart.yaml").exists():
        raise ClusterError(f"there is no chart in {CHART}: --no-chart leaves it out")
    repository, _, tag = engine.load_project_image().rpartition(":")
    with step(f"installing the chart with {repository}:{tag}"):
        env = environment(engine)
        image = ("--set", f"image.repository={repository}", "--set-string", f"image.tag={tag}")
        place = ("--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "3m")
        try:
            with tempfile.TemporaryDirectory() as folder:
                run("helm", "package", CHART, "--destination", folder, env=env)
                (chart,) = Path(folder).glob("*.tgz")
                run("helm", "upgrade", "--install", "--force-conflicts", "bucketops", chart, *place, *image, env=env)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{_state(engine)}") from None


def _state(engine: Engine) -> str:
    """What the project's pods are at, to be read when they do not come up."""
    place = (f"--namespace={NAMESPACE}", "--ignore-not-found")
    return "".join(run("kubectl", "get", kind, *place, env=environment(engine)) for kind in ("pods", "events"))


def status(engine: Engine) -> str:
    """The nodes and all pods as kubectl shows them."""
    if not engine.KUBECONFIG.exists():
        raise ClusterError("there is no cluster; make one with: up")
    listing = [run("kubectl", "get", kind, "--all-namespaces", "--request-timeout=5s", env=environment(engine))
               for kind in ("nodes", "pods")]  # fmt: skip
    return "\n".join([*listing, f"KUBECONFIG={engine.KUBECONFIG}"])
