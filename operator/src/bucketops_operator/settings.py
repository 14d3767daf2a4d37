"""The operator's own settings: each from one environment variable, with its default, set by the chart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketops_api import release
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.pod_template import WorkerTemplate
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import access_limits, allowed
from bucketops_operator.access_limits import Access
from bucketops_operator.allowed import EVERYTHING, Allowed

PREFIX = "BUCKETOPS_"
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
"""Never watched: whoever may create a resource there is given nothing by us."""


@dataclass(frozen=True)
class Settings:
    """How the operator runs."""

    image: str = release.IMAGE
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
    access: Access = field(default_factory=lambda: access_limits.EVERYTHING)
    """What S3Access may grant; a value that is no such JSON keeps the operator from starting."""
    own_namespace: str = "bucketops-system"
    """Never watched, as those of Kubernetes."""
    allowed: Allowed = EVERYTHING
    """What resources may ask for; in a cluster the chart says it."""
    worker_template: WorkerTemplate = field(default_factory=WorkerTemplate)
    """What every worker pod has unless its resource says something else."""

    keeps_status: bool = False
    """Whether statuses are there when this process has ended, as in a cluster: keys may lie in them."""
    disabled_kinds: tuple[str, ...] = ()
    """Kinds that nobody needs here: not watched."""

    def kinds(self) -> list[Kind]:
        """Return the kinds that are worked on."""
        return [kind for kind in KINDS.values() if kind.name not in self.disabled_kinds]

    def watches(self, namespace: str) -> bool:
        """Return whether resources of this namespace are worked on."""
        return namespace not in {*SYSTEM_NAMESPACES, self.own_namespace}


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read BUCKETOPS_IMAGE and so on; NAMESPACES is comma-separated, ALLOWED and WORKER_TEMPLATE are JSON."""
    default = Settings()

    def value(name: str, fallback: str) -> str:
        return environ.get(PREFIX + name) or fallback

    return Settings(
        image=value("IMAGE", default.image),
        namespaces=_namespaces(value("NAMESPACES", ""), value("OWN_NAMESPACE", default.own_namespace)),
        resync_seconds=float(value("RESYNC_SECONDS", str(default.resync_seconds))),
        status_seconds=float(value("STATUS_SECONDS", str(default.status_seconds))),
        metrics_port=int(value("METRICS_PORT", str(default.metrics_port))),
        probe_port=int(value("PROBE_PORT", str(default.probe_port))),
        log_format=value("LOG_FORMAT", default.log_format),
        keeps_status=True,
        image_pull_policy=value("IMAGE_PULL_POLICY", default.image_pull_policy),
        own_namespace=value("OWN_NAMESPACE", default.own_namespace),
        disabled_kinds=tuple(filter(None, value("DISABLED_KINDS", "").split(","))),
        allowed=allowed.read(value("ALLOWED", "{}")),
        worker_template=WorkerTemplate.model_validate_json(value("WORKER_TEMPLATE", "{}")),
        access=Access.model_validate_json(access) if (access := value("ACCESS", "")) else default.access,
    )


def _namespaces(text: str, own: str) -> tuple[str, ...]:
    named = tuple(filter(None, text.split(",")))
    for namespace in named:
        if not Settings(own_namespace=own).watches(namespace):
            raise ValueError(f"namespaces: {namespace} is never watched; name those of the people who use bucketops")
    return named
