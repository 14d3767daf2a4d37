"""Manifests of somebody who wants more than a resource gives: docs/threat-model.md has them as a table."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec, resolved
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.executor import Resource
from bucketops_operator.objects import run_objects
from bucketops_operator.settings import Settings

Json = dict[str, Any]

STORE = "http://minio.storage.svc:9000"
KEYS = {"secretRef": {"name": "keys"}}
SPECS: Mapping[str, Json] = {
    "S3Retention": {"bucket": {"bucket": "pictures", "endpoint": STORE, "credentials": KEYS}},
    "S3Access": {
        "provider": "AWS",
        "user": "app-1",
        "admin": {},
        "grants": [{"bucket": "pictures", "access": "ReadOnly"}],
        "credentialsSecret": {"name": "app-1-s3"},
    },
    "S3Migration": {
        "source": {"bucket": "old", "endpoint": STORE, "credentials": KEYS},
        "destination": {"bucket": "new", "endpoint": STORE, "credentials": KEYS},
    },
    "ExifPipeline": {
        "source": {"bucket": "uploads", "credentials": KEYS},
        "destination": {"bucket": "clean", "credentials": KEYS},
        "onNotJpeg": "Skip",
        "events": {"sqs": {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures"}},
    },
}
"""A harmless resource of each kind."""


@dataclass(frozen=True)
class Hostile:
    """One manifest: a harmless one with `change` laid over its spec."""

    name: str
    wants: str
    change: Json
    refused_by: Literal["schema", "policy"]
    """The schema of the CRD, or the ValidatingAdmissionPolicy."""
    words: str
    kind: str = "S3Retention"
    namespace: str = ""
    pruned: bool = field(default=False)
    """Without strict validation the API server drops the field, and the pod is that of the harmless resource."""

    @property
    def spec(self) -> Json:
        return laid_over(SPECS[self.kind], self.change)

    def manifest(self) -> Json:
        return {"apiVersion": API_VERSION, "kind": self.kind, "metadata": {"name": "hostile"}, "spec": self.spec}


def worker_pod(kind: str, spec: Json) -> Json:
    """The template of the pods that the operator makes of a spec, but for the digest of what they work on."""
    model = KINDS[kind].spec.model_validate(spec)
    run = RunSpec(kind=kind, phase="x", namespace="team", name="hostile", run="hostile-1-x", spec=resolved(model))
    owner = Resource(kind, "team", "hostile", "uid-1", 1, spec)
    *_, job = run_objects(owner, run, parallelism=1, suspend=False, limits=Limits(), settings=Settings())
    template = copy.deepcopy(job["spec"]["template"])
    [container] = template["spec"]["containers"]
    container["env"] = [variable for variable in container["env"] if variable["name"] != names.ENV_RUN_DIGEST]
    return dict(template)


def laid_over(base: Json, change: Json) -> Json:
    """`base` with the fields of `change`, at any depth; lists are replaced."""
    return base | {
        key: laid_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in change.items()
    }


def _template(**fields: Any) -> Json:
    return {"worker": {"template": fields}}


def _security(**fields: Any) -> Json:
    return _template(securityContext=fields)


def _env(*names: str, value: str = "x") -> Json:
    return _template(env=[{"name": name, "value": value} for name in names])


_FROM_SECRET = {"secretKeyRef": {"name": "payments-db", "key": "password"}}
_CLOSED = "Unsupported value"
_UNKNOWN = "unknown field|Unsupported value|Required value"
"""Of two faults in one variable a strict API server names the first."""
_NOT_HERE = "is not allowed here"
_EVERY_TAINT = {"operator": "Exists", "effect": "NoExecute"}
_CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
_ZONE = {"labelSelector": {}, "topologyKey": "topology.kubernetes.io/zone"}
_FAR = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_ZONE]}}

HOSTILE: tuple[Hostile, ...] = (
    Hostile("privileged", "the node", _security(privileged=True), "schema", _CLOSED),
    Hostile("root", "to be root", _security(runAsUser=0), "schema", "greater than or equal to 1"),
    Hostile("root by group", "files of root", _security(runAsGroup=0), "schema", "greater than or equal to 1"),
    Hostile("may be root", "to be root", _security(runAsNonRoot=False), "schema", _CLOSED),
    Hostile("escalation", "setuid", _security(allowPrivilegeEscalation=True), "schema", _CLOSED),
    Hostile("capability", "SYS_ADMIN", _security(capabilities={"add": ["SYS_ADMIN"]}), "schema", "unknown field",
            pruned=True),
    Hostile("unmasked proc", "the node's /proc", _security(procMount="Unmasked"), "schema", "unknown field",
            pruned=True),
    Hostile("seccomp off", "every system call", _security(seccompProfile={"type": "Unconfined"}), "schema", _CLOSED),
    Hostile("SELinux off", "the node's files", _security(seLinuxOptions={"type": "spc_t"}), "schema", _CLOSED),
    Hostile("host namespaces", "the node's network and processes", _template(hostNetwork=True, hostPID=True),
            "schema", "unknown field", pruned=True),
    Hostile("host path", "the node's disk", _template(volumes=[{"name": "x", "hostPath": {"path": "/"}}]), "schema",
            "unknown field", pruned=True),
    Hostile("second container", "code of its own", _template(initContainers=[{"name": "x", "image": "evil"}]),
            "schema", "unknown field", pruned=True),
    Hostile("Secret into a region", "a Secret's value in the status",
            _template(env=[{"name": "AWS_DEFAULT_REGION", "valueFrom": _FROM_SECRET}]), "schema", _UNKNOWN),
    Hostile("Secret into a proxy", "a Secret's value in a request",
            _template(env=[{"name": "HTTPS_PROXY", "valueFrom": _FROM_SECRET}]), "schema", _UNKNOWN),
    Hostile("PYTHONPATH", "code from a ConfigMap", _env("PYTHONPATH"), "schema", _CLOSED),
    Hostile("PYTHONWARNINGS", "code by two variables", _env("PYTHONWARNINGS", "BROWSER"), "schema", _CLOSED),
    Hostile("LD_PRELOAD", "code by the loader", _env("LD_PRELOAD"), "schema", _CLOSED),
    Hostile("OPENSSL_CONF", "code or trust by OpenSSL", _env("OPENSSL_CONF", "SSL_CERT_FILE"), "schema", _CLOSED),
    Hostile("BUCKETOPS_RESULT", "to forge a result", _env("BUCKETOPS_RESULT"), "schema", _CLOSED),
    Hostile("time zone of a file", "a file read by the C library", _env("TZ", value=":/etc/passwd"), "schema",
            "write a proxy"),
    Hostile("ServiceAccount", "another account's token", {"worker": {"serviceAccountName": "powerful"}}, "policy",
            f"spec.worker.serviceAccountName: '?powerful'? {_NOT_HERE}", kind="S3Access"),
    Hostile("all taints", "every node", _template(tolerations=[_EVERY_TAINT]), "schema", "Required value"),
    Hostile("control plane", "the control plane's nodes", _template(tolerations=[_CONTROL_PLANE]), "policy",
            f"spec.worker.template.tolerations: .*{_NOT_HERE}"),
    Hostile("priority", "to evict others", _template(priorityClassName="system-node-critical"), "policy",
            f"spec.worker.template.priorityClassName: .*{_NOT_HERE}"),
    Hostile("forged owner", "the pods of another resource", _template(labels={"bucketops.dev/owner-uid": "other"}),
            "schema", "a key of bucketops"),
    Hostile("owner in capitals", "the pods of another resource", _template(labels={"Bucketops.dev/Owner-uid": "other"}),
            "schema", "a key of bucketops"),
    Hostile("label of Kubernetes", "what a controller of Kubernetes gives", _template(labels={"X-K8S.io/x": "mine"}),
            "schema", "a key of bucketops"),
    Hostile("label of a Service", "traffic of an application", _template(labels={"app": "shop"}), "policy",
            f"spec.worker.template.labels: .*{_NOT_HERE}"),
    Hostile("annotation of a runtime", "devices of the node",
            _template(annotations={"io.kubernetes.cri-o.Devices": "/dev/sda"}), "schema", "a key of bucketops"),
    Hostile("annotation of an injector", "a sidecar with secrets",
            _template(annotations={"vault.hashicorp.com/agent-inject": "true"}), "policy",
            f"spec.worker.template.annotations: .*{_NOT_HERE}"),
    Hostile("limits by a typing error", "no memory limit", _template(resources={"limit": {"memory": "1Gi"}}),
            "schema", "unknown field", pruned=True),
    Hostile("a limit of 0", "no memory limit", _template(resources={"limits": {"memory": 0}}), "schema",
            "write a size above 0"),
    Hostile("affinity by a typing error", "any node", _template(affinity={"nodeAfinity": {}}), "schema",
            "unknown field", pruned=True),
    Hostile("a zone for itself", "to keep others out of a zone", _template(affinity=_FAR), "schema", _CLOSED),
    Hostile("instance metadata", "the node's identity", {"bucket": {"endpoint": "http://169.254.169.254"}}, "policy",
            f"endpoint: .*{_NOT_HERE}"),
    Hostile("admin outside", "to send an admin's key out", {"admin": {"endpoint": "http://evil.example:9000"}},
            "policy", f"endpoint: .*{_NOT_HERE}", kind="S3Access"),
    Hostile("name in a query", "a host that only looks inside",
            {"destination": {"endpoint": "http://evil.example?.svc:9000"}}, "schema",
            "write scheme, host and perhaps a port", kind="S3Migration"),
    Hostile("queue inside a network", "a service without TLS",
            {"events": {"sqs": {"queueUrl": "http://169.254.169.254/latest/meta-data"}}}, "policy",
            f"(endpoint|queueUrl): .*{_NOT_HERE}", kind="ExifPipeline"),
    Hostile("proxy outside", "to read along", _env("HTTP_PROXY", value="http://evil.example:3128"), "policy",
            f"spec.worker.template.env: .*{_NOT_HERE}"),
    Hostile("in kube-system", "pods among Kubernetes' own", {}, "policy", "never works in the namespaces",
            namespace="kube-system"),
    Hostile("beside the operator", "the operator's namespace", {}, "policy", "never works in the namespaces",
            namespace="bucketops-system"),
)  # fmt: skip
