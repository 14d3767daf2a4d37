"""What a resource may say about its worker pods. Every field is typed, and can only tighten what the operator sets.

Who may create one of our resources gets less than who may create a pod: no privilege, no root, no environment variable
that Python, the loader, OpenSSL or the worker itself reads, no label by which another controller takes the pod up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bucketops_api.v1alpha1.common import Model, NameRef, Rule
from bucketops_api.v1alpha1.resources import Resources
from bucketops_api.v1alpha1.scalars import Check, Name, matches
from bucketops_api.v1alpha1.scheduling import Affinity, LabelMap, Toleration, TopologySpread

RESERVED_KEYS = (
    r"(?i)^(([a-z0-9.-]+\.)?(bucketops\.dev|kubernetes\.io|k8s\.io|x-k8s\.io)/.*|job-name|controller-uid|"
    r"controller-revision-hash|pod-template-hash|[^/]*\.[^/]*)$"
)
"""Keys of labels and annotations that the operator, Kubernetes or (dots without a slash) container runtimes read.

In any case: programs compare them in more than one way. kubernetes.io and k8s.io are reserved:
https://kubernetes.io/docs/reference/labels-annotations-taints/
"""
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
"""The one of Kubernetes' keys that says something about a worker, and gives it nothing."""
_RESERVED = re.compile(RESERVED_KEYS)
_RESERVED_MESSAGE = (
    "a key of bucketops, of Kubernetes or of a container runtime cannot be set here: write another key, such as team"
)


def _are_free(given: Mapping[str, str]) -> bool:
    return not any(_RESERVED.fullmatch(key) for key in given if key != SAFE_TO_EVICT)


_FREE_KEYS = Check(
    f"self.all(key, key == '{SAFE_TO_EVICT}' || !key.matches(r'{RESERVED_KEYS}'))", _RESERVED_MESSAGE, _are_free
)
Labels = Annotated[LabelMap, _FREE_KEYS]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32), _FREE_KEYS]

_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class SeccompProfile(Model):
    """System calls that the worker may make; there is no Unconfined."""

    RULES = (
        Rule("(self.type == 'Localhost') == has(self.localhostProfile)", "localhostProfile goes with type: Localhost"),
    )
    type: Literal["RuntimeDefault", "Localhost"]
    localhost_profile: (
        Annotated[
            str,
            Field(min_length=1, max_length=255),
            matches(
                r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
                "write a path below the kubelet's folder of profiles, such as profiles/worker.json",
            ),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _profile_goes_with_localhost(self) -> SeccompProfile:
        if (self.type == "Localhost") != (self.localhost_profile is not None):
            raise ValueError(self.RULES[0].message)
        return self


class SeLinuxOptions(Model):
    """The category of the worker's processes; the type stays that of any container."""

    type: Literal["container_t"] = "container_t"
    level: (
        Annotated[
            str,
            Field(max_length=32),
            matches(r"^s0(:c[0-9]{1,4},c[0-9]{1,4})?$", "write a level with two categories, such as s0:c123,c456"),
        ]
        | None
    ) = None


class Capabilities(Model):
    """All capabilities are dropped, and none can be added."""

    drop: Annotated[list[Literal["ALL"]], Field(max_length=1)] = Field(default_factory=list)


class WorkerSecurity(Model):
    """Who the worker runs as. What the `restricted` level of Kubernetes forbids cannot be written."""

    run_as_user: _Id | None = Field(None, description="Absent: 65532.")
    run_as_group: _Id | None = Field(None, description="Absent: 65532.")
    fs_group: _Id | None = Field(None, description="The group that mounted files belong to. Absent: 65532.")
    supplemental_groups: Annotated[list[_Id], Field(max_length=16)] = Field(default_factory=list)
    se_linux_options: SeLinuxOptions | None = None
    seccomp_profile: SeccompProfile | None = Field(None, description="Absent: RuntimeDefault.")
    run_as_non_root: Literal[True] | None = None
    read_only_root_filesystem: Literal[True] | None = None
    allow_privilege_escalation: Literal[False] | None = None
    privileged: Literal[False] | None = None
    capabilities: Capabilities | None = None


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
EXCEPTIONS = ("NO_PROXY", "no_proxy")
ZONE = "TZ"
_ZONE_PATTERN = "[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*"
_PROXY_PATTERN = r"https?://[^/@\s]+/?"
_EXCEPTIONS_PATTERN = r"[A-Za-z0-9*.,:/_\[\] -]*"


class Variable(Model):
    """An environment variable of the worker: proxies and the time zone, by value alone."""

    RULES = (
        Rule(
            f"self.name in {list(PROXIES)} ? self.value.matches(r'^{_PROXY_PATTERN}$') : self.name == '{ZONE}' ? "
            f"self.value.matches(r'^{_ZONE_PATTERN}$') : self.value.matches(r'^{_EXCEPTIONS_PATTERN}$')",
            "write a proxy such as http://proxy.example:3128, exceptions such as .svc,10.0.0.0/8, and a time zone such "
            "as Europe/Paris",
        ),
    )
    name: Literal["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "TZ"]
    value: Annotated[str, Field(max_length=2048)]

    @model_validator(mode="after")
    def _value_fits(self) -> Variable:
        others = _ZONE_PATTERN if self.name == ZONE else _EXCEPTIONS_PATTERN
        pattern = _PROXY_PATTERN if self.name in PROXIES else others
        if not re.fullmatch(pattern, self.value):
            raise ValueError(self.RULES[0].message)
        return self


class WorkerTemplate(Model):
    """What is said about the worker pods beside their work. It can only tighten what the operator sets."""

    labels: Labels = Field(default_factory=dict, description="With keys of the chart's allowed.labels.")
    annotations: Annotations = Field(default_factory=dict, description="With keys of the chart's allowed.annotations.")
    resources: Resources = Field(
        default_factory=Resources, description="What is given replaces the operator's default, field by field."
    )
    node_selector: LabelMap = Field(default_factory=dict)
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(default_factory=list)
    affinity: Affinity | None = None
    topology_spread_constraints: Annotated[list[TopologySpread], Field(max_length=8)] = Field(default_factory=list)
    priority_class_name: Name | None = Field(None, description="One of the chart's allowed.priorityClasses.")
    image_pull_secrets: Annotated[list[NameRef], Field(max_length=8)] = Field(default_factory=list)
    security_context: WorkerSecurity = Field(default_factory=WorkerSecurity)
    env: Annotated[list[Variable], Field(max_length=16)] = Field(default_factory=list)
