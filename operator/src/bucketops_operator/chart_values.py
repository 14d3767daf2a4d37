"""The chart's values as a model.

Their defaults stand in values.yaml alone, so every field is required here: Helm checks the user's values after it
has merged them with the defaults.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bucketops_api.v1alpha1.pod_template import WorkerTemplate
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.access_limits import Access
from bucketops_operator.settings import SYSTEM_NAMESPACES

Object = dict[str, Any]
Strings = dict[str, str]
Namespace = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        json_schema_extra={"not": {"enum": list(SYSTEM_NAMESPACES)}},
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of the values; a key that is not known is a typing error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Image(Section):
    """The one image of operator and workers."""

    repository: Annotated[str, Field(min_length=1)]
    tag: Annotated[
        str,
        Field(
            description="Empty: the chart's appVersion. Never latest: operator and workers would drift apart.",
            json_schema_extra={"not": {"const": "latest"}},
        ),
    ]
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
    pull_policy: Literal["Always", "IfNotPresent", "Never"]


class Crds(Section):
    """Whether the chart brings the resource definitions, and leaves them on uninstall."""

    install: bool
    keep: bool


class Rbac(Section):
    """The operator's role, and what joins the cluster's view and edit roles."""

    create: bool
    aggregate: bool


class ServiceAccount(Section):
    """Whom the operator runs as."""

    create: bool
    name: str
    annotations: Strings


class ServiceMonitor(Section):
    """For the Prometheus operator."""

    enabled: bool
    interval: str
    labels: Strings


class PodMonitor(Section):
    """Metrics of the workers, for the Prometheus operator."""

    enabled: bool
    interval: str
    labels: Strings


class PipelineAlerts(Section):
    """Above what the alerts of ExifPipeline fire."""

    oldest_pending_seconds: Annotated[int, Field(ge=1)]
    latency_p99_seconds: Annotated[int, Field(ge=1, alias="latencyP99Seconds")]
    refused_percent: Annotated[int, Field(ge=1, le=99)]


class PrometheusRule(Section):
    """Alerts, for the Prometheus operator."""

    enabled: bool
    labels: Strings
    pipeline: PipelineAlerts


class Dashboards(Section):
    """Dashboards, for Grafana's sidecar."""

    enabled: bool
    labels: Strings
    annotations: Strings


class Metrics(Section):
    """Who reads the metrics of operator and workers, and how."""

    service_monitor: ServiceMonitor
    pod_monitor: PodMonitor
    prometheus_rule: PrometheusRule
    dashboards: Dashboards


class NetworkPolicy(Section):
    """Who reaches the operator and its workers, and what the operator reaches."""

    enabled: bool
    restrict_egress: bool
    api_server_ports: list[Port]
    metrics_from: list[Object]
    worker_metrics_from: list[Object]
    webhook_from: list[Object]


Entry = Annotated[str, Field(pattern=r"^[A-Za-z0-9*._/-]+$", max_length=317)]
EndpointEntry = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9*._:\[\]-]+$", max_length=317)]


KindName = Annotated[str, Field(json_schema_extra={"enum": sorted(KINDS)})]


class AllowedNames(Section):
    """What resources may ask for."""

    service_accounts: list[Entry]
    priority_classes: list[Entry]
    tolerations: Annotated[list[Entry], Field(description="Keys of taints.")]
    endpoints: list[EndpointEntry]
    labels: Annotated[list[Entry], Field(description="Keys.")]
    annotations: Annotated[list[Entry], Field(description="Keys.")]


class WorkerDefaults(Section):
    """What every worker pod has unless its resource says something else."""

    template: WorkerTemplate


class AdmissionPolicy(Section):
    """Whether the API server itself refuses what is not allowed."""

    enabled: bool


class Values(Section):
    """Everything that may stand in the values of the bucketops chart."""

    global_: Annotated[Object, Field(alias="global", description="Helm hands it to every subchart; not read here.")] = (
        Field(default_factory=dict)
    )
    name_override: str
    fullname_override: str
    image: Image
    image_pull_secrets: list[Object]
    namespaces: Annotated[
        list[Namespace], Field(description="Empty: all namespaces but Kubernetes' own and the operator's.")
    ]
    disabled_kinds: Annotated[list[KindName], Field(description="Kinds that nobody needs here.")]
    allowed: AllowedNames
    worker: WorkerDefaults
    admission_policy: AdmissionPolicy
    log_format: Literal["json", "text"]
    resync_seconds: Annotated[int, Field(ge=10)]
    status_seconds: Annotated[int, Field(ge=1)]
    resources: Object
    node_selector: Strings
    tolerations: list[Object]
    affinity: Object
    priority_class_name: str
    pod_labels: Strings
    pod_annotations: Strings
    extra_env: list[Object]
    extra_objects: list[Object | str]
    crds: Crds
    rbac: Rbac
    service_account: ServiceAccount
    metrics: Metrics
    access: Access
    network_policy: NetworkPolicy
