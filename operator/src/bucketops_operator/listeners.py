"""The pods that hear events, as data: a RunSpec, a StatefulSet whose ordinals share the keys, a Service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec, run_digest, run_file
from bucketops_api.v1alpha1.worker import Worker
from bucketops_operator.executor import Manifest, Resource
from bucketops_operator.objects import LIMITS_KEY, RUN_KEY, limits_name, object_metadata, run_labels
from bucketops_operator.pods import pod_metadata, pod_spec
from bucketops_operator.settings import Settings

_ORDINAL = "apps.kubernetes.io/pod-index"
"""A label of each pod: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-index-label."""
_DIGEST = f"{names.GROUP}/run-digest"


def listener_objects(
    resource: Resource, run: RunSpec, *, suspend: bool, limits: Limits, settings: Settings
) -> tuple[Manifest, ...]:
    """What hears events, in the order in which it is to be created. Another RunSpec rolls the pods."""
    labels = {key: value for key, value in run_labels(resource, run).items() if key != names.LABEL_RUN}
    run_json = run_file(run)
    limits_json = limits.model_dump_json(by_alias=True, exclude_none=True)
    return (
        _config_map(resource, run.run, labels, {RUN_KEY: run_json}),
        _config_map(resource, limits_name(run.run), labels, {LIMITS_KEY: limits_json}),
        _service(resource, run.run, labels),
        _stateful_set(resource, run, run_digest(run_json), labels, settings, suspend=suspend),
    )


def _config_map(resource: Resource, name: str, labels: Mapping[str, str], data: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": object_metadata(resource, name, labels), "data": data}


def _service(resource: Resource, name: str, labels: Mapping[str, str]) -> Manifest:
    ports = {"metrics": names.METRICS_PORT, "webhook": names.WEBHOOK_PORT}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": object_metadata(resource, name, labels),
        "spec": {
            "selector": _selector(resource),
            "ports": [
                {"name": port, "port": number, "targetPort": number, "protocol": "TCP"}
                for port, number in ports.items()
            ],
        },
    }


def _selector(resource: Resource) -> dict[str, str]:
    return {names.LABEL_OWNER: resource.uid, names.LABEL_PHASE: "listen"}


def _stateful_set(
    resource: Resource, run: RunSpec, digest: str, labels: dict[str, str], settings: Settings, *, suspend: bool
) -> Manifest:
    worker = Worker.model_validate(run.spec.get("worker") or {})
    metadata = pod_metadata(worker, settings, labels)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": object_metadata(resource, run.run, labels),
        "spec": {
            "replicas": 0 if suspend else run.shards,
            "serviceName": run.run,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": _selector(resource)},
            "template": {
                "metadata": metadata | {"annotations": metadata["annotations"] | {_DIGEST: digest[:32]}},
                "spec": _always(pod_spec(run, digest, worker, limits_name(run.run), settings)),
            },
        },
    }


def _always(spec: dict[str, Any]) -> dict[str, Any]:
    """A worker's pod that is started again whenever it ends, and knows which of the replicas it is."""
    (container,) = spec["containers"]
    ordinal = {"fieldRef": {"fieldPath": f"metadata.labels['{_ORDINAL}']"}}
    environment = [*container.get("env", ()), {"name": names.ENV_INDEX, "valueFrom": ordinal}]
    webhook = {"name": "webhook", "containerPort": names.WEBHOOK_PORT, "protocol": "TCP"}
    changed = container | {"env": environment, "ports": [*container["ports"], webhook]}
    return spec | {"restartPolicy": "Always", "containers": [changed]}
