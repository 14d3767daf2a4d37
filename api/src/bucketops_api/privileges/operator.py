"""RBAC rules of the operator, and of the people who work with its resources.

The operator reads no Secret: the kubelet mounts them into the worker pods, which have no API token. It makes and
deletes the credentials of S3Access, and keeps such a resource by a finalizer
until the user that it made is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bucketops_api.v1alpha1 import GROUP
from bucketops_api.v1alpha1.access import S3ACCESS
from bucketops_api.v1alpha1.exifpipeline import EXIFPIPELINE
from bucketops_api.v1alpha1.registry import KINDS

PolicyRule = dict[str, Any]

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")


def rules(*, cluster: bool = True) -> tuple[PolicyRule, ...]:
    """What the operator may do; `cluster`: it watches all namespaces and so must learn which there are."""
    own = (
        _rule([GROUP], _plurals(), READ),
        _rule([GROUP], _plurals("/status"), ("patch",)),
        _rule([GROUP], [S3ACCESS.plural], ("patch",)),
        _rule(["batch"], ["cronjobs", "jobs"], (*READ, "create", "patch", "delete")),
        _rule(["apps"], ["statefulsets"], ("get", "create", "patch", "delete")),
        _rule([""], ["configmaps"], ("get", "create", "patch", "delete")),
        _rule([""], ["services"], ("get", "create", "patch", "delete")),
        _rule([""], ["secrets"], ("create", "delete")),
        _rule([""], ["pods"], ("list", "watch")),
        # Why no pod was created (a quota, pod security) stands in Events alone.
        _rule([""], ["events"], ("list",)),
        _rule(["events.k8s.io"], ["events"], ("create",)),
    )
    return own + (scanning_rules() if cluster else ())


def needed_by(resource: str) -> tuple[str, ...]:
    """Return the kinds for whose sake the operator has a right on a resource; empty: all of them."""
    named = tuple(kind.name for kind in KINDS.values() if kind.plural == resource.partition("/")[0])
    return named or _NEEDED_BY.get(resource, ())


_NEEDED_BY = {
    "secrets": (S3ACCESS.name,),
    "statefulsets": (EXIFPIPELINE.name,),
    "services": (EXIFPIPELINE.name,),
}


def scanning_rules() -> tuple[PolicyRule, ...]:
    """Kopf follows namespaces and resource definitions as they come and go."""
    return (
        _rule([""], ["namespaces"], ("list", "watch")),
        _rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], ("list", "watch")),
    )


def view_rules() -> tuple[PolicyRule, ...]:
    """What joins the cluster's `view` role."""
    return (_rule([GROUP], _plurals(), READ), _rule([GROUP], _plurals("/status"), ("get",)))


def edit_rules() -> tuple[PolicyRule, ...]:
    """What joins the cluster's `edit` and `admin` roles; a status is written by the operator alone."""
    return (*view_rules(), _rule([GROUP], _plurals(), WRITE))


def _plurals(subresource: str = "") -> list[str]:
    return sorted(kind.plural + subresource for kind in KINDS.values())


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str]) -> PolicyRule:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
