"""The operators of the cluster: how many there are, and are ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.cluster import SYSTEM, Cluster, wait_for

SELECTOR = ("--selector", "app.kubernetes.io/name=bucketops")
PATIENCE = 300
"""Seconds until a wait is given up; no test hangs on how fast the machine is."""


def ready(cluster: Cluster) -> list[str]:
    """Pods of the operator that are ready."""
    pods = cluster.get("pods", *SELECTOR, namespace=SYSTEM)["items"]
    conditions = {pod["metadata"]["name"]: pod["status"].get("conditions", ()) for pod in pods}
    return [
        name for name, held in conditions.items() if any(c["type"] == "Ready" and c["status"] == "True" for c in held)
    ]


@contextmanager
def scaled(cluster: Cluster, replicas: int) -> Iterator[None]:
    """So many for as long as the context lasts; one again afterwards."""
    _scale(cluster, replicas)
    try:
        yield
    finally:
        _scale(cluster, 1)


def _scale(cluster: Cluster, replicas: int) -> None:
    cluster.kubectl("scale", "deployment/bucketops", f"--replicas={replicas}", namespace=SYSTEM)
    wait_for(f"{replicas} operators", lambda: len(ready(cluster)) == replicas, PATIENCE)
