"""A kind of resource as data: what the CRD, the chart, the documents and the operator are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bucketops_api.v1alpha1.common import Model, Rule, Status

# A run is under way while it works or is suspended in the middle of its work. Written with `has`: the API server cannot
# estimate the cost of what comes out of an optional (`.?field`), and refuses the rule.
_ACTIVE = (
    "has(oldSelf.status) && has(oldSelf.status.conditions) && oldSelf.status.conditions.exists("
    "c, (c.type == 'Reconciling' || c.type == 'Suspended') && c.status == 'True')"
)


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`."""

    name: str
    type: Literal["string", "integer", "date"]
    json_path: str
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """One kind of resource; another one is another file beside the first."""

    name: str
    plural: str
    short_name: str
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    frozen: tuple[str, ...] = ()
    scratch: str = "8Gi"
    """How much a worker may write below /tmp: objects too large for its memory, and records that it sorts."""

    def rules(self) -> tuple[Rule, ...]:
        """CEL rules on the whole object: what may not change while a run is under way."""
        return tuple(_frozen_rule(field) for field in self.frozen)


def _frozen_rule(field: str) -> Rule:
    return Rule(
        f"!({_ACTIVE}) || {_unchanged(field)}",
        f"spec.{field} cannot change while a run is under way: delete the resource and apply it anew, "
        "or wait for the end of the run",
    )


def _unchanged(field: str) -> str:
    """Both have an equal value, or neither has one; a parent that is absent is an absent value."""
    parts = field.split(".")
    paths = [".".join(("spec", *parts[: length + 1])) for length in range(len(parts))]
    new, old = (" && ".join(f"has({whole}.{path})" for path in paths) for whole in ("self", "oldSelf"))
    last = paths[-1]
    return f"({new} ? {old} && self.{last} == oldSelf.{last} : !({old}))"
