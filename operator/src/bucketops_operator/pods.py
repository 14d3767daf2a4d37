"""The pod of a worker, as data: no rights, no API token, and everything it needs mounted below one folder.

The security context is that of the `restricted` profile:
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from bucketops_api import names
from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.pod_template import WorkerSecurity, WorkerTemplate
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_api.v1alpha1.worker import Worker
from bucketops_operator.pod_resources import resources
from bucketops_operator.pod_template import merged
from bucketops_operator.settings import Settings

Json = dict[str, Any]

GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL: a worker finishes or abandons what is in flight, and reports."""
_USER = 65532
_READABLE = 0o440
WORKER_COMMAND = ["python", "-I", "-B", "-u", "-m", "bucketops_jobs"]
"""Isolated: no variable, folder or user's package adds to the code of the image."""
_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_IDENTITY = {
    "run_as_user", "run_as_group", "fs_group", "supplemental_groups", "se_linux_options", "seccomp_profile",
}  # fmt: skip
_SCHEDULING = {
    "node_selector", "tolerations", "affinity", "topology_spread_constraints", "priority_class_name",
    "image_pull_secrets",
}  # fmt: skip


class _Mount(NamedTuple):
    volume: Json
    path: str


def pod_spec(
    run: RunSpec, digest: str, worker: Worker, limits: str, settings: Settings, *, api_token: bool = False
) -> Json:
    """The spec of a run's pods. `worker.template` can only tighten it.

    `digest` is that of the run file that the pods mount, `limits` names the ConfigMap of live limits.
    """
    template = merged(settings.worker_template, worker.template)
    amounts = resources(KINDS.get(run.kind, Kind).scratch, settings.worker_template.resources, template.resources)
    mounts = _mounts(run, limits, str(amounts["limits"]["ephemeral-storage"]))
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": api_token,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": _pod_security(template.security_context),
        "containers": [_container(digest, template, mounts, settings) | {"resources": amounts}],
        "volumes": [mount.volume for mount in mounts],
        **_given(
            serviceAccountName=worker.service_account_name,
            **template.model_dump(by_alias=True, exclude_none=True, include=_SCHEDULING),
        ),
    }


def pod_metadata(worker: Worker, settings: Settings, labels: Mapping[str, str]) -> Json:
    """The labels and annotations of a run's pods; ours go before all others."""
    template = merged(settings.worker_template, worker.template)
    return {"labels": {**template.labels, **labels}, "annotations": template.annotations}


def secret_names(spec: Mapping[str, Any]) -> list[str]:
    """The Secrets that a spec names by `secretRef`, each once, sorted."""
    return sorted(set(_referenced(spec, "secretRef")))


def mounted_secrets(run: RunSpec) -> list[str]:
    """These, and those that the run itself asks for."""
    return sorted({*secret_names(run.spec), *run.secrets})


def config_map_names(spec: Mapping[str, Any]) -> list[str]:
    """The ConfigMaps that a spec names by `configMapRef`, each once, sorted."""
    return sorted(set(_referenced(spec, "configMapRef")))


def _pod_security(given: WorkerSecurity) -> Json:
    """Another user, group, SELinux level or seccomp profile; what is not root stays not root."""
    changes = given.model_dump(by_alias=True, exclude_none=True, include=_IDENTITY)
    return _POD_SECURITY | {name: value for name, value in changes.items() if value}


def _container(digest: str, template: WorkerTemplate, mounts: Iterable[_Mount], settings: Settings) -> Json:
    return {
        "name": names.WORKER_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": WORKER_COMMAND,
        "ports": [{"name": "metrics", "containerPort": names.METRICS_PORT, "protocol": "TCP"}],
        "securityContext": _CONTAINER_SECURITY,
        "terminationMessagePath": names.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [_volume_mount(mount) for mount in mounts],
        "env": [
            *(variable.model_dump() for variable in template.env),
            {"name": names.ENV_RUN_DIGEST, "value": digest},
        ],
    }


def _volume_mount(mount: _Mount) -> Json:
    read_only = {} if "emptyDir" in mount.volume else {"readOnly": True}
    return {"name": mount.volume["name"], "mountPath": mount.path} | read_only


def _mounts(run: RunSpec, limits: str, scratch: str) -> list[_Mount]:
    """Secrets and ConfigMaps are optional: the worker says which one is missing, better than a pod that never starts.

    Volumes are numbered: a Secret's name may be longer than a volume's, and may hold dots.
    """
    return [
        _Mount({"name": "scratch", "emptyDir": {"sizeLimit": scratch}}, names.SCRATCH_DIR),
        _config_map("run", run.run, _folder(names.RUN_FILE), optional=False),
        _config_map("limits", limits, _folder(names.LIMITS_FILE), optional=True),
        *(
            _Mount(
                {
                    "name": f"secret-{number}",
                    "secret": {"secretName": name, "optional": True, "defaultMode": _READABLE},
                },
                f"{names.MOUNT_ROOT}/{names.SECRETS_DIR}/{name}",
            )
            for number, name in enumerate(mounted_secrets(run))
        ),
        *(
            _config_map(
                f"configmap-{number}", name, f"{names.MOUNT_ROOT}/{names.CONFIG_MAPS_DIR}/{name}", optional=True
            )
            for number, name in enumerate(config_map_names(run.spec))
        ),
    ]


def _config_map(volume: str, name: str, path: str, *, optional: bool) -> _Mount:
    source = {"name": name, "defaultMode": _READABLE} | ({"optional": True} if optional else {})
    return _Mount({"name": volume, "configMap": source}, path)


def _folder(file: str) -> str:
    return f"{names.MOUNT_ROOT}/{PurePosixPath(file).parent}"


def _referenced(node: object, reference: str) -> Iterator[str]:
    """Every `<reference>: {name: …}` anywhere in a spec but in the settings of the pod."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == reference and isinstance(value, Mapping):
                yield str(value["name"])
            elif key != "template":
                yield from _referenced(value, reference)
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _referenced(child, reference)


def _given(**fields: object) -> Json:
    """Those fields that say something."""
    return {name: value for name, value in fields.items() if value}
