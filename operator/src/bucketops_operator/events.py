"""Events on a resource, as data."""

from __future__ import annotations

from datetime import datetime

from bucketops_api import names
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_operator.executor import Event, Manifest, Resource

_NOTE = 1024
_INSTANCE = 128
_NAME = 200


def event_manifest(owner: Resource, event: Event, now: datetime, instance: str) -> Manifest:
    """Build an Event of events.k8s.io/v1, within the API server's limits; `instance` names this operator's pod.

    https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{owner.name[:_NAME]}.{int(now.timestamp() * 1_000_000):x}",
            "namespace": owner.namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGER},
        },
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": event.type,
        "reason": event.reason,
        "action": "Reconcile",
        "note": event.message[:_NOTE],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": owner.kind,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": instance[:_INSTANCE],
    }
