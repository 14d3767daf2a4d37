"""SeaweedFS on loopback, with three users: an administrator, the migration's with exactly its rights, and the public.

Each demo has keys of its own, so that one never takes another's server for its own.
"""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bucketops.demo import programs
from bucketops.demo.server import Server, Servers, on_free_ports

_PORTS = ("master", "volume", "filer", "s3")
_SETTINGS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.telemetry": "false",  # it is sent by default
    "master.volumeSizeLimitMB": 64,
    "volume.max": 100,
    "volume.minFreeSpace": "100MiB",  # 1 % of the disk by default, which may be much more than a demo needs
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
}
_GARBAGE = {"GOGC": "400", "GOMEMLIMIT": "400MiB"}
"""Go collects garbage seldom while there is little: https://go.dev/doc/gc-guide."""


@dataclass(frozen=True)
class Key:
    """A user's key pair."""

    name: str
    secret: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    @property
    def data(self) -> dict[str, str]:
        """As a Secret has it."""
        return {"AWS_ACCESS_KEY_ID": self.name, "AWS_SECRET_ACCESS_KEY": self.secret}


@dataclass(frozen=True)
class Store:
    """The running server."""

    server: Server
    endpoint: str
    admin: Key
    worker: Key


def start(
    servers: Servers, folder: Path, worker: Sequence[Mapping[str, Any]], public: Sequence[Mapping[str, Any]]
) -> Store:
    """Return the server once it answers. `worker` and `public` are the statements of what those two may do."""
    admin, key = Key("admin"), Key("avatars")
    folder.mkdir()
    (folder / "data").mkdir()
    config = folder / "s3.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(_identities(admin, key, worker, public)))
    endpoints = []

    def begin(ports: Sequence[int]) -> tuple[Server, Callable[[], bool]]:
        endpoint = f"http://127.0.0.1:{ports[3]}"
        endpoints.append(endpoint)
        command: list[str | Path] = [
            programs.weed(),
            "-logtostderr",
            "server",
            "-filer",
            "-s3",
            *_options(folder, ports),
        ]
        server = servers.start(command, folder, environment=_GARBAGE, leftovers=_sockets(ports))
        return server, lambda: _is_healthy(endpoint)

    server = on_free_ports("SeaweedFS", 2 * len(_PORTS), begin)
    return Store(server, endpoints[-1], admin, key)


def _options(folder: Path, ports: Sequence[int]) -> list[str]:
    """Return flags; without a port of its own for gRPC a service takes that of HTTP and 10,000 more."""
    http = {f"{name}.port": port for name, port in zip(_PORTS, ports[: len(_PORTS)], strict=True)}
    grpc = {f"{name}.port.grpc": port for name, port in zip(_PORTS, ports[len(_PORTS) :], strict=True)}
    sockets = {f"{name}.localSocket": f"{name}.sock" for name in ("filer", "s3")}  # paths of sockets must be short
    files = {"dir": folder / "data", "s3.config": folder / "s3.json"}
    return [f"-{name}={value}" for name, value in {**_SETTINGS, **http, **grpc, **sockets, **files}.items()]


def _sockets(ports: Sequence[int]) -> list[str]:
    """Return the files that SeaweedFS leaves behind: no setting says where they are."""
    return [f"/tmp/seaweedfs-{name}-grpc-{port}.sock" for name, port in zip(_PORTS, ports[len(_PORTS) :], strict=True)]  # noqa: S108


def _identities(
    admin: Key, worker: Key, allowed: Sequence[Mapping[str, Any]], public: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    def credentials(key: Key) -> list[dict[str, str]]:
        return [{"accessKey": key.name, "secretKey": key.secret}]

    def policy(name: str, statements: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        return {"name": name, "content": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})}

    return {
        "identities": [
            {"name": admin.name, "credentials": credentials(admin), "actions": ["Admin"]},
            {"name": worker.name, "credentials": credentials(worker), "policyNames": ["worker"]},
            {"name": "anonymous", "policyNames": ["public"]},
        ],
        "policies": [policy("worker", allowed), policy("public", public)],
    }


def _is_healthy(endpoint: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{endpoint}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except OSError:
        return False
