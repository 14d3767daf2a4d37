"""The operator as a process of this machine, which can be killed; the one in the cluster rests meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from bucketops_operator.local_worker import free_port
from support.cluster import SYSTEM, Cluster


class OperatorProcess:
    """One operator for one namespace, at one address of the API server."""

    def __init__(self, cluster: Cluster, url: str, folder: Path) -> None:
        self._cluster, self._url, self._folder = cluster, url, folder
        self.starts = 0

    def __enter__(self) -> Self:
        self._environment = os.environ | {
            "KUBECONFIG": str(self._kubeconfig()),
            "BUCKETOPS_IMAGE": self._image(),
            "BUCKETOPS_NAMESPACES": self._cluster.namespace,
            "BUCKETOPS_STATUS_SECONDS": "1",
        }
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def start(self) -> None:
        ports = {"BUCKETOPS_METRICS_PORT": str(free_port()), "BUCKETOPS_PROBE_PORT": str(free_port())}
        with (self._folder / "operator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bucketops_operator"], stdout=log, stderr=log, env=self._environment | ports
            )
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return (self._folder / "operator.log").read_text()

    def _image(self) -> str:
        """What the operator in the cluster runs, and so its workers."""
        deployment = self._cluster.get("deployment", "bucketops", namespace=SYSTEM)
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def _kubeconfig(self) -> Path:
        file = self._folder / "kubeconfig"
        here = {"name": "here", "cluster": {"server": self._url}}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [here],
            "users": [{"name": "here", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
            "current-context": "here",
        }
        file.write_text(json.dumps(content))
        return file
