"""The cluster as the tests and the demo see it: kubectl, addresses, and a world of avatars with its Secrets."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bucketops_api.privileges.migration import sql_grants
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import World, s3_client
from support.identities import Identity, migration_user

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "manifests/examples"
SYSTEM = "bucketops-system"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class Cluster:
    """One namespace of the cluster that `make up` makes."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.program = _kubectl()
        self._forwards: list[subprocess.Popen[str]] = []

    def kubectl(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> str:
        """The output of kubectl; its own words when it fails."""
        command = [self.program, "--namespace", namespace or self.namespace, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str, namespace: str | None = None) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output", "json", namespace=namespace))

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all(objects))

    def create_namespace(self) -> None:
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def create_secret(self, name: str, data: dict[str, str]) -> None:
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        """A Secret of the servers under test."""
        found = self.get("secret", name, namespace=namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in found.items()}

    def address(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        """Where a Service is reached from here: by its ClusterIP on the node itself, else by port-forward."""
        ip = self.get("service", service, namespace=namespace)["spec"]["clusterIP"]
        try:
            socket.create_connection((ip, port), timeout=2).close()
        except OSError:
            return "127.0.0.1", self._forward(namespace, service, port)
        return ip, port

    def _forward(self, namespace: str, service: str, port: int) -> int:
        command = [self.program, "--namespace", namespace, "port-forward", f"service/{service}", f":{port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._forwards.append(process)
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise RuntimeError(f"no way to {service}.{namespace}: {line}")
        return int(found[1])

    def close(self) -> None:
        for process in self._forwards:
            process.terminate()

    def status(self, kind: str, name: str) -> dict[str, Any]:
        return dict(self.get(kind, name).get("status", {}))

    def remove_namespace(self) -> None:
        self.kubectl("delete", "namespace", self.namespace, "--wait=true", "--ignore-not-found")


@contextmanager
def namespace(prefix: str) -> Iterator[Cluster]:
    """A fresh namespace that admits only pods of the `restricted` level; gone in the end with all that is in it."""
    cluster = Cluster(f"{prefix}-{secrets.token_hex(3)}")
    cluster.create_namespace()
    try:
        yield cluster
    finally:
        cluster.remove_namespace()
        cluster.close()


def example(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()))


def avatars_world(cluster: Cluster) -> World:
    """The example's buckets and table, empty."""
    minio, postgres = cluster.secret("storage", "minio-admin"), cluster.secret("storage", "postgres-admin")
    host, port = cluster.address("storage", "minio", 9000)
    db_host, db_port = cluster.address("storage", "postgres", 5432)
    s3 = s3_client(f"http://{host}:{port}", minio["AWS_ACCESS_KEY_ID"], minio["AWS_SECRET_ACCESS_KEY"])
    dsn = (
        f"host={db_host} port={db_port} user={postgres['PGUSER']} password={postgres['PGPASSWORD']} "
        f"dbname={postgres['PGDATABASE']}"
    )
    world = World(s3, dsn)
    world.make_buckets()
    world.empty()
    world.sql("DROP TABLE IF EXISTS avatars")
    return world


def give_access(cluster: Cluster, world: World, manifest: dict[str, Any]) -> None:
    """The Secrets that the example names: of a user and a role with the documented rights and no others."""
    give_rights(cluster, world, MigrationSpec.model_validate(manifest["spec"]))


def give_rights(cluster: Cluster, world: World, spec: MigrationSpec) -> None:
    """Put into the example's Secrets who may do this work and nothing else, whoever stood there before."""
    admin = cluster.secret("storage", "minio-admin")
    host, port = cluster.address("storage", "minio", 9000)
    root = Identity(admin["AWS_ACCESS_KEY_ID"], admin["AWS_SECRET_ACCESS_KEY"])
    cluster.create_secret("avatars-s3", migration_user(f"http://{host}:{port}", root, spec).secret())
    role, password = f"avatars_{secrets.token_hex(4)}", secrets.token_hex(16)
    world.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    for grant in sql_grants(spec.database, role) if spec.database else ():
        world.sql(grant)
    database = cluster.secret("storage", "postgres-admin")["PGDATABASE"]
    where = {"PGHOST": "postgres.storage.svc", "PGPORT": "5432", "PGDATABASE": database}
    cluster.create_secret("avatars-db", where | {"PGUSER": role, "PGPASSWORD": password})


def wait_for(what: str, holds: Any, seconds: float = 60) -> Any:
    """Poll until `holds()` is true and give back what it answered."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.5)
    return answer


def _kubectl() -> str:
    """The kubectl that fits the cluster; a cluster that is not there is named."""
    if not os.environ.get("KUBECONFIG"):
        raise RuntimeError(
            "no cluster: run `make up` and set KUBECONFIG to what `python3 tests/cluster kubeconfig` prints"
        )
    if os.environ.get("BUCKETOPS_ENGINE", "host") == "kind":
        return "kubectl"
    command = [sys.executable, str(ROOT / "tests/cluster"), "tool", "kubectl"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
