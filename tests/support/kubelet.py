"""What the kubelet does with a Secret that is mounted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path


def update(mount: Path, data: Mapping[str, str]) -> None:
    """Change all files at once, by one link: https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter."""
    version = mount / f"..{uuid.uuid4().hex}"
    version.mkdir(parents=True)
    for key, value in data.items():
        (version / key).write_text(value)
    _link(mount / "..data", version.name)
    for key in data:
        _link(mount / key, f"..data/{key}")


def _link(path: Path, target: str) -> None:
    fresh = path.with_name(f"..new-{path.name}")
    fresh.symlink_to(target)
    fresh.replace(path)
