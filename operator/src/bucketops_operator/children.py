"""Which objects count as a resource's own: those whose controller reference says so. Pure.

Labels are for finding; anybody who may edit an object can write them, and a copy of an object bears them too.
https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from bucketops_api import names
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_operator.executor import Manifest, Resource

_NONE: Mapping[str, str] = {}


def controller(manifest: Manifest) -> Mapping[str, str]:
    """Return the owner reference of an object's controller; empty where it has none."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), _NONE)


def is_controlled(manifest: Manifest, owner: Resource) -> bool:
    """Return whether a resource controls an object.

    What is made while the resource is being deleted has no controller at all: see objects.object_metadata.
    """
    found = controller(manifest)
    if not found:
        return owner.deleting
    return (found.get("kind"), found.get("uid"), found.get("apiVersion")) == (owner.kind, owner.uid, API_VERSION)


class Standing(Enum):
    """What an object that bears a name of ours is to a resource."""

    OURS = "ours"
    FOREIGN = "made by somebody else"
    FORMER = "of a resource that is gone, or of another one"
    FORGED = "with our labels, and not controlled by the resource"


def standing(manifest: Manifest, owner: Resource) -> Standing:
    """Return what an object is to a resource, by its labels and by its controller reference."""
    labels = manifest["metadata"].get("labels") or {}
    if labels.get(names.LABEL_MANAGED_BY) != names.MANAGER:
        return Standing.FOREIGN
    if labels.get(names.LABEL_OWNER) != owner.uid:
        return Standing.FORMER
    return Standing.OURS if is_controlled(manifest, owner) else Standing.FORGED


def is_scheduled(job: Manifest, owner: Resource) -> bool:
    """Return whether a Job says that the CronJob of this resource made it; the CronJob must be looked at too."""
    found = controller(job)
    return (found.get("kind"), found.get("name")) == ("CronJob", names.schedule_name(owner.name))


def is_run(job: Manifest) -> bool:
    """Return whether a Job has the name and the labels of a run; a copy under another name has not."""
    labels = job["metadata"].get("labels") or {}
    return names.is_run_name(job["metadata"]["name"]) and bool(labels.get(names.LABEL_PHASE))


def is_pod_of(pod: Manifest, job: str) -> bool:
    """Return whether a pod says that a Job of this name made it; it may be an older Job of the same name."""
    found = controller(pod)
    return (found.get("kind"), found.get("name")) == ("Job", job)


def is_replica(pod: Manifest, owner: Resource) -> bool:
    """Return whether a pod is one of the StatefulSet that hears a resource's events."""
    name, found = names.listener_name(owner.name), controller(pod)
    stem, _, ordinal = str(pod["metadata"]["name"]).rpartition("-")
    is_numbered = stem == name and ordinal.isascii() and ordinal.isdigit()
    return is_numbered and (found.get("kind"), found.get("name")) == ("StatefulSet", name)
