"""MinIO and PostgreSQL of the cluster under test, as somebody who may kill them and revoke keys sees them."""

from __future__ import annotations

from typing import Any

from support.avatars import World
from support.cluster import Cluster, give_access, wait_for
from support.identities import Identity, admin_client

NAMESPACE = "storage"
PATIENCE = 300
QUIT = {"minio": "TERM", "postgres": "QUIT"}
"""What a first process of a container ends by: it is deaf to SIGKILL from inside; PostgreSQL stops at once by QUIT."""


def kill(cluster: Cluster, server: str) -> None:
    """The container ends and the kubelet starts it again, on the same data; returns when it is ready."""
    before = _container(cluster, server)["restartCount"]
    cluster.kubectl("exec", f"deployment/{server}", "--", "sh", "-c", f"kill -{QUIT[server]} 1", namespace=NAMESPACE)

    def back() -> bool:
        now = _container(cluster, server)
        return bool(now["restartCount"] > before and now["ready"])

    wait_for(f"{server} is back", back, PATIENCE)


def replace_credentials(cluster: Cluster, world: World, manifest: dict[str, Any]) -> None:
    """New ones in both Secrets; the old ones are worth nothing from now on, whatever is mounted still."""
    old = {name: _secret(cluster, name) for name in ("avatars-s3", "avatars-db")}
    give_access(cluster, world, manifest)
    admin = cluster.secret(NAMESPACE, "minio-admin")
    host, port = cluster.address(NAMESPACE, "minio", 9000)
    root = Identity(admin["AWS_ACCESS_KEY_ID"], admin["AWS_SECRET_ACCESS_KEY"])
    admin_client(f"http://{host}:{port}", root).user_remove(old["avatars-s3"]["AWS_ACCESS_KEY_ID"])
    role = old["avatars-db"]["PGUSER"]
    world.sql(f'ALTER ROLE "{role}" NOLOGIN')
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))


def _container(cluster: Cluster, server: str) -> dict[str, Any]:
    pods = cluster.get("pods", "--selector", f"app.kubernetes.io/name={server}", namespace=NAMESPACE)["items"]
    return dict(pods[0]["status"]["containerStatuses"][0])


def _secret(cluster: Cluster, name: str) -> dict[str, str]:
    return cluster.secret(cluster.namespace, name)
