"""Where worker pods run: the typed parts of affinity, tolerations and topology spread.

The fields are those of https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#scheduling,
without those that look into other namespaces. A field that is not here is a typing error.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bucketops_api.v1alpha1.common import Model
from bucketops_api.v1alpha1.scalars import matches

_PREFIX = r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
LabelKey = Annotated[
    str,
    Field(min_length=1, max_length=317),
    matches(f"^{_PREFIX}{_WORD}$", "write a label's key, such as disk or example.com/disk"),
]
LabelValue = Annotated[
    str,
    Field(max_length=63),
    matches(f"^({_WORD})?$", "write a label's value: at most 63 of A-Z, a-z, 0-9, '-', '_' and '.'"),
]
LabelMap = Annotated[dict[str, LabelValue], Field(max_length=32)]
_Values = Annotated[list[LabelValue], Field(max_length=32)]
_Weight = Annotated[int, Field(ge=1, le=100)]


class LabelExpression(Model):
    """One requirement on labels."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: _Values = Field(default_factory=list)


class LabelSelector(Model):
    """Chooses objects by their labels."""

    match_labels: LabelMap = Field(default_factory=dict)
    match_expressions: Annotated[list[LabelExpression], Field(max_length=8)] = Field(default_factory=list)


class NodeExpression(Model):
    """One requirement on a node's labels."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: _Values = Field(default_factory=list)


_NodeExpressions = Annotated[list[NodeExpression], Field(max_length=8)]


class NodeTerm(Model):
    """Requirements that a node meets all."""

    match_expressions: _NodeExpressions = Field(default_factory=list)
    match_fields: _NodeExpressions = Field(default_factory=list)


class NodeChoice(Model):
    """Terms of which a node meets one."""

    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1, max_length=8)]


class PreferredNodes(Model):
    """Nodes that are taken rather than others."""

    weight: _Weight
    preference: NodeTerm


class NodeAffinity(Model):
    """Nodes that worker pods must or had better run on."""

    required_during_scheduling_ignored_during_execution: NodeChoice | None = None
    preferred_during_scheduling_ignored_during_execution: Annotated[list[PreferredNodes], Field(max_length=8)] = Field(
        default_factory=list
    )


class PodTerm(Model):
    """Pods of this namespace, and what counts as near them."""

    label_selector: LabelSelector
    topology_key: LabelKey


class NodePodTerm(PodTerm):
    """Pods of this namespace that must not share a node with the workers."""

    topology_key: Literal["kubernetes.io/hostname"] = Field(
        description="A node: a wider domain would keep the namespace's other pods out of it."
    )


class PreferredPods(Model):
    """Pods that it is better to be near, or far from."""

    weight: _Weight
    pod_affinity_term: PodTerm


_PreferredPods = Annotated[list[PreferredPods], Field(max_length=8)]


class PodAffinity(Model):
    """Pods that the workers must or had better be near."""

    required_during_scheduling_ignored_during_execution: Annotated[list[PodTerm], Field(max_length=8)] = Field(
        default_factory=list
    )
    preferred_during_scheduling_ignored_during_execution: _PreferredPods = Field(default_factory=list)


class PodAntiAffinity(Model):
    """Pods that the workers must or had better be far from."""

    required_during_scheduling_ignored_during_execution: Annotated[list[NodePodTerm], Field(max_length=8)] = Field(
        default_factory=list
    )
    preferred_during_scheduling_ignored_during_execution: _PreferredPods = Field(default_factory=list)


class Affinity(Model):
    """Where worker pods must or had better run."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Model):
    """A taint that worker pods tolerate. A toleration without a key would tolerate all of them."""

    key: LabelKey = Field(description="Of a taint: one of the chart's allowed.tolerations.")
    operator: Literal["Exists", "Equal"] = "Equal"
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(None, description="Absent: all.")
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class TopologySpread(Model):
    """How evenly worker pods are spread."""

    max_skew: Annotated[int, Field(ge=1, le=1000)]
    topology_key: LabelKey
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    match_label_keys: Annotated[list[LabelKey], Field(max_length=8)] = Field(default_factory=list)
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
