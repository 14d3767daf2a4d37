"""The operator's own settings: each from one environment variable, with its default, set by the chart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "BUCKETOPS_"


@dataclass(frozen=True)
class Settings:
    """How the operator runs."""

    image: str = "bucketops/bucketops:0.1.0"
    """The operator's own image, which the Jobs run too: one version of both."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty: all."""
    resync_seconds: float = 300.0
    """Every resource is looked at again this often, to repair drift."""
    status_seconds: float = 5.0
    """Progress is written at most this often; transitions at once."""
    metrics_port: int = 8080
    probe_port: int = 8081
    log_format: str = "json"
    """json, or text for people."""
    image_pull_policy: str = "IfNotPresent"


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read BUCKETOPS_IMAGE, BUCKETOPS_NAMESPACES (comma-separated) and so on."""
    default = Settings()

    def value(name: str, fallback: str) -> str:
        return environ.get(PREFIX + name) or fallback

    return Settings(
        image=value("IMAGE", default.image),
        namespaces=tuple(filter(None, value("NAMESPACES", "").split(","))),
        resync_seconds=float(value("RESYNC_SECONDS", str(default.resync_seconds))),
        status_seconds=float(value("STATUS_SECONDS", str(default.status_seconds))),
        metrics_port=int(value("METRICS_PORT", str(default.metrics_port))),
        probe_port=int(value("PROBE_PORT", str(default.probe_port))),
        log_format=value("LOG_FORMAT", default.log_format),
        image_pull_policy=value("IMAGE_PULL_POLICY", default.image_pull_policy),
    )
