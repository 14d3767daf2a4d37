"""MinIO and PostgreSQL of the cluster under test, as somebody who may kill them and revoke keys sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minio import MinioAdmin

from support.avatars import World
from support.cluster import Cluster, give_access, wait_for
from support.identities import Identity, admin_client

NAMESPACE = "storage"
PATIENCE = 300


def kill_minio(cluster: Cluster) -> None:
    """It ends at its administrator's word, for its image has no shell."""
    _killed(cluster, "minio", lambda: _administrator(cluster).service_stop())


def kill_postgres(cluster: Cluster) -> None:
    """At once: no client is told, no transaction ends."""
    command = ("exec", "deployment/postgres", "--", "sh", "-c", "kill -QUIT 1")
    _killed(cluster, "postgres", lambda: cluster.kubectl(*command, namespace=NAMESPACE))


def _killed(cluster: Cluster, server: str, kill: Callable[[], object]) -> None:
    """The kubelet starts the container again, on the same data; returns when it is ready."""
    before = _container(cluster, server)["restartCount"]
    kill()

    def back() -> bool:
        now = _container(cluster, server)
        return bool(now["restartCount"] > before and now["ready"])

    wait_for(f"{server} is back", back, PATIENCE)


def replace_credentials(cluster: Cluster, world: World, manifest: dict[str, Any]) -> None:
    """New ones in both Secrets; the old ones are worth nothing from now on, whatever is mounted still."""
    old = {name: _secret(cluster, name) for name in ("avatars-s3", "avatars-db")}
    give_access(cluster, world, manifest)
    _administrator(cluster).user_remove(old["avatars-s3"]["AWS_ACCESS_KEY_ID"])
    role = old["avatars-db"]["PGUSER"]
    world.sql(f'ALTER ROLE "{role}" NOLOGIN')
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))


def _administrator(cluster: Cluster) -> MinioAdmin:
    admin = cluster.secret(NAMESPACE, "minio-admin")
    host, port = cluster.address(NAMESPACE, "minio", 9000)
    root = Identity(admin["AWS_ACCESS_KEY_ID"], admin["AWS_SECRET_ACCESS_KEY"])
    return admin_client(f"http://{host}:{port}", root)


def _container(cluster: Cluster, server: str) -> dict[str, Any]:
    pods = cluster.get("pods", "--selector", f"app.kubernetes.io/name={server}", namespace=NAMESPACE)["items"]
    return dict(pods[0]["status"]["containerStatuses"][0])


def _secret(cluster: Cluster, name: str) -> dict[str, str]:
    return cluster.secret(cluster.namespace, name)
