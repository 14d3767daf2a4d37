"""The executor on Kubernetes.

What exists and is not ours is never touched, and a Job is created only after all pods of Jobs that are gone have ended.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bucketops_api import counts, names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.common import Status
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import children, podstate
from bucketops_operator.children import Standing
from bucketops_operator.errors import ApiError, NamespaceEndsError, StalledError, WaitingError, refusal
from bucketops_operator.events import event_manifest
from bucketops_operator.executor import (
    Event,
    Manifest,
    ObjectName,
    ObservedReplica,
    ObservedRun,
    Resource,
    SecretChange,
)
from bucketops_operator.hindrance import without_pods
from bucketops_operator.keysecrets import KeySecrets
from bucketops_operator.objects import job_changes, limits_name
from bucketops_operator.observed import observed_run
from bucketops_operator.owned import PLURALS, Children
from bucketops_operator.rest import APPLY, MERGE, METADATA, Api, path
from bucketops_operator.scraper import Scraper, Seen

Json = dict[str, Any]

_NOT_FOUND = 404
_ENDING = timedelta(seconds=2)
_AS_IT_SHOULD_BE = frozenset({"CronJob", "Service", "StatefulSet"})
"""Kinds that are applied whole, each time."""
_AS_MANAGER = {"fieldManager": names.MANAGER}
_BY_FORCE = {"fieldManager": names.MANAGER, "force": "true"}
_LOG = logging.getLogger(__name__)


class Cluster:
    """Runs as Jobs of a Kubernetes cluster; an Executor."""

    def __init__(self, api: Api, scraper: Scraper | None = None) -> None:
        self._api = api
        self._secrets = KeySecrets(api)
        self._children = Children(api)
        self._scraper = scraper or Scraper()

    def get(self, kind: str, namespace: str, name: str) -> Resource | None:
        """Read a resource as it is now; None when it is gone, or being deleted and not held by us."""
        found = self._api.find(path(API_VERSION, KINDS[kind].plural, namespace, name))
        resource = _resource(kind, found) if found else None
        return None if resource and resource.deleting and not resource.held else resource

    def resources(self, kind: str, namespaces: Sequence[str] = ()) -> Iterator[Resource]:
        """List a kind's resources in these namespaces, or (if none is given) everywhere."""
        for namespace in namespaces or ("",):
            for found in self._api.pages(path(API_VERSION, KINDS[kind].plural, namespace), {}):
                yield _resource(kind, found)

    def versions(self, api_version: str, plural: str, namespaces: Sequence[str] = ()) -> dict[str, int]:
        """List what is managed by us: the resourceVersion of each object by its uid; only metadata travels.

        Versions of one type of object can be compared as integers:
        https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
        """
        ours = {} if api_version == API_VERSION else {"labelSelector": f"{names.LABEL_MANAGED_BY}={names.MANAGER}"}
        found: dict[str, int] = {}
        for namespace in namespaces or ("",):
            for item in self._api.pages(path(api_version, plural, namespace), ours, accept=METADATA):
                found[item["metadata"]["uid"]] = int(item["metadata"]["resourceVersion"])
        return found

    def observe(self, owner: Resource) -> Sequence[ObservedRun]:
        """List Jobs, then pods: of a Job that was seen to have ended, every pod that still exists is seen too."""
        jobs = self._children.jobs(owner)
        pods = self._children.pods(owner, jobs)
        seen = self._scraper.counts(f"{owner.uid}/runs", _workers(pod for found in pods.values() for pod in found))
        found = [self._observe_run(owner, job, pods[job["metadata"]["name"]], seen) for job in jobs]
        return sorted(found, key=lambda run: names.run_number(run.run))

    def replicas(self, owner: Resource) -> Sequence[ObservedReplica]:
        """List the pods that belong to no run; of those that answer, what they have counted."""
        pods = self._children.replicas(owner)
        seen = self._scraper.counts(f"{owner.uid}/replicas", _workers(pods))
        return [_replica(pod, seen.get(_incarnation(pod))) for pod in pods]

    def apply(self, owner: Resource, objects: Iterable[Manifest]) -> None:
        """Create what is absent; a refusal becomes the error that says whether the user must act."""
        existing = [(manifest, self._current(owner, manifest)) for manifest in objects]
        started = any(manifest["kind"] == "Job" and current for manifest, current in existing)
        for manifest, current in existing:
            try:
                if manifest["kind"] in _AS_IT_SHOULD_BE:
                    self._apply(owner, manifest)
                elif current is None:
                    self._create(owner, manifest)
                elif manifest["kind"] == "Job":
                    self._change_job(owner, current, manifest)
                elif current.get("data") != manifest["data"]:
                    self._change_config_map(owner, current, manifest, started=started)
            except ApiError as error:
                raise refusal(error, f"{manifest['kind']} {manifest['metadata']['name']}") from error

    def remove(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Delete these runs; the garbage collector ends their pods, which get SIGTERM and their grace period."""
        for run in runs:
            self._children.delete_job(owner, run.run, run.uid)
            for name in (limits_name(run.run), run.run):
                self._children.delete(owner, "ConfigMap", name)
            _LOG.info("run removed", extra=_names(owner, run.run))

    def let_go(self, owner: Resource, runs: Collection[ObservedRun]) -> None:
        """Ask whether anything can be created in the namespace, and delete the Jobs if it ends.

        With backoffLimitPerIndex the Job controller keeps a failed pod until its replacement exists, which a namespace
        that ends refuses; and nothing else in it is deleted as long as there are pods:
        https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/5080-ordered-namespace-deletion
        """
        if not runs:
            return
        metadata = {"generateName": f"{names.MANAGER}-probe-", "labels": {names.LABEL_MANAGED_BY: names.MANAGER}}
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        try:
            self._api.call("POST", path("v1", "configmaps", owner.namespace), query={"dryRun": "All"}, body=probe)
        except ApiError as error:
            if not isinstance(refusal(error, "a probe"), NamespaceEndsError):
                raise
            for run in runs:
                self._children.delete_job(owner, run.run, run.uid)
                _LOG.info("run let go: its namespace is being deleted", extra=_names(owner, run.run))

    def discard(self, owner: Resource, objects: Collection[ObjectName]) -> None:
        """Delete what is the owner's; the garbage collector ends a CronJob's Jobs and their pods."""
        for kind, name in objects:
            if self._children.delete(owner, kind, name):
                _LOG.info("removed", extra=_names(owner) | {"object": f"{kind} {name}"})

    def change_secret(self, owner: Resource, change: SecretChange) -> str:
        """Make, replace or delete a credentials Secret; the uid of the one that was made, if one was."""
        uid = self._secrets.change(owner, change)
        _LOG.info("secret changed", extra=_names(owner) | {"secret": change.name, "action": change.action})
        return uid

    def hold(self, owner: Resource) -> Resource:
        """Add our finalizer to the state that was read, or come back later."""
        return self._finalizers(owner, lambda found: [*found, names.FINALIZER])

    def release(self, owner: Resource) -> None:
        """Take our finalizer away; others stay."""
        self._finalizers(owner, lambda found: [name for name in found if name != names.FINALIZER])

    def _finalizers(self, owner: Resource, change: Callable[[list[str]], list[str]]) -> Resource:
        target = path(API_VERSION, KINDS[owner.kind].plural, owner.namespace, owner.name)
        found = self._api.find(target)
        if found is None or found["metadata"]["uid"] != owner.uid:
            return owner
        changed = change(found["metadata"].get("finalizers") or [])
        metadata = {"finalizers": changed, "resourceVersion": found["metadata"]["resourceVersion"]}
        try:
            answer = self._api.call("PATCH", target, query=_AS_MANAGER, body={"metadata": metadata}, content=MERGE)
        except ApiError as error:
            raise refusal(error, f"the finalizer of {owner.kind} {owner.name}") from error
        return _resource(owner.kind, answer)

    def write_status(self, owner: Resource, status: Status) -> None:
        """Apply the whole status by force: a field that is no longer named disappears, and so does a foreign value.

        It goes to the very state that was read, or nowhere: the API server ignores a uid here, and a resource may have
        been changed, or deleted and created anew, meanwhile.
        """
        version = {"resourceVersion": owner.resource_version} if owner.resource_version else {}
        body = {
            "apiVersion": API_VERSION,
            "kind": owner.kind,
            "metadata": {"name": owner.name, "namespace": owner.namespace} | version,
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        target = path(API_VERSION, KINDS[owner.kind].plural, owner.namespace, owner.name)
        try:
            self._api.call("PATCH", f"{target}/status", query=_BY_FORCE, body=body, content=APPLY)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise refusal(error, f"the status of {owner.kind} {owner.name}") from error

    def emit(self, owner: Resource, events: Iterable[Event]) -> None:
        """Log and write Events. One that cannot be written is no reason to do the transition again."""
        for event in events:
            level = logging.WARNING if event.type == "Warning" else logging.INFO
            _LOG.log(level, "transition", extra=_names(owner) | {"reason": event.reason, "note": event.message})
            body = event_manifest(owner, event, datetime.now(UTC), socket.gethostname())
            try:
                self._api.call("POST", path("events.k8s.io/v1", "events", owner.namespace), body=body)
            except Exception as error:  # noqa: BLE001 - whatever it is, the work goes on
                _LOG.warning("event not written", extra=_names(owner) | {"reason": event.reason, "error": str(error)})

    def _observe_run(self, owner: Resource, job: Json, pods: Sequence[Json], seen: Mapping[str, Seen]) -> ObservedRun:
        live: dict[str, int] = {}
        for pod in pods:
            if podstate.phase(pod) == "Running" and (shown := seen.get(_incarnation(pod))):
                live = counts.add(live, dict(shown.counts))
        now = datetime.now(UTC)
        staged = self._secrets.holds(owner, names.staged_secret(job["metadata"]["name"]))
        run = replace(observed_run(job, pods, live, now), staged=staged)
        return replace(run, waiting=self._why_no_pods(job)) if without_pods(job, pods, now) else run

    def _why_no_pods(self, job: Json) -> str:
        """Find out why pods are not even created: quota, pod security, no such ServiceAccount stand in Events alone."""
        selector = {"fieldSelector": f"involvedObject.uid={job['metadata']['uid']},type=Warning"}
        events = list(self._api.pages(path("v1", "events", job["metadata"]["namespace"]), selector))
        newest = max(events, key=lambda event: str(event["metadata"]["creationTimestamp"]), default=None)
        return f"{newest['reason']}: {newest['message']}" if newest else "no pod has been created yet"

    def _current(self, owner: Resource, manifest: Manifest) -> Json | None:
        """Read what stands under a manifest's name, if it is this owner's."""
        name = manifest["metadata"]["name"]
        found = self._api.find(path(manifest["apiVersion"], PLURALS[manifest["kind"]], owner.namespace, name))
        if found is None:
            return None
        what, standing = f"{manifest['kind']} {name}", children.standing(found, owner)
        if standing is Standing.FOREIGN:
            raise StalledError(Reason.REFUSED, f"{what} exists and is not ours: delete it, or rename this {owner.kind}")
        if standing is Standing.FORMER or podstate.deleted(found):
            raise WaitingError(f"{what} of a former run is still being deleted", _ENDING)
        if standing is Standing.FORGED:
            raise StalledError(
                Reason.REFUSED, f"{what} bears our labels and is not controlled by this {owner.kind}: delete it"
            )
        return found

    def _apply(self, owner: Resource, manifest: Manifest) -> None:
        """Have an object as it should be, whoever has changed it."""
        target = path(manifest["apiVersion"], PLURALS[manifest["kind"]], owner.namespace, manifest["metadata"]["name"])
        self._api.call("PATCH", target, query=_BY_FORCE, body=manifest, content=APPLY)

    def _create(self, owner: Resource, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        if manifest["kind"] == "Job":
            if "template" not in manifest["spec"]:
                return
            self._refuse_overlap(owner)
            _LOG.info("run starts", extra=_names(owner, metadata["name"]))
        target = path(manifest["apiVersion"], PLURALS[manifest["kind"]], owner.namespace)
        self._api.call("POST", target, query=_AS_MANAGER, body=manifest)

    def _refuse_overlap(self, owner: Resource) -> None:
        """Refuse a new Job as long as pods of a Job that is gone may still write."""
        for pod in self._children.pods_of_former_jobs(owner):
            raise WaitingError(f"pod {pod['metadata']['name']} of a former run still ends", _ENDING)

    def _change_job(self, owner: Resource, job: Json, manifest: Manifest) -> None:
        changes = job_changes(job, manifest)
        if changes and podstate.job_state(job) == "Running":
            name = job["metadata"]["name"]
            target = path("batch/v1", "jobs", owner.namespace, name)
            self._api.call("PATCH", target, query=_AS_MANAGER, body={"spec": changes}, content=MERGE)
            _LOG.info("run changed", extra=_names(owner, name) | changes)

    def _change_config_map(self, owner: Resource, current: Json, manifest: Manifest, *, started: bool) -> None:
        """Write new limits; write a RunSpec anew only while no Job works on it (the operator had died in between)."""
        if not manifest.get("immutable"):
            self._apply(owner, manifest)
        elif not started:
            target = path("v1", "configmaps", owner.namespace, manifest["metadata"]["name"])
            self._api.delete(target, uid=current["metadata"]["uid"])
            self._create(owner, manifest)


def _workers(pods: Iterable[Json]) -> dict[str, str]:
    """Return the addresses of the pods whose worker runs, by incarnation."""
    running = ((_incarnation(pod), pod["status"].get("podIP")) for pod in pods if podstate.phase(pod) == "Running")
    return {incarnation: address for incarnation, address in running if address}


def _incarnation(pod: Json) -> str:
    return f"{pod['metadata']['uid']}/{podstate.restarts(pod)[0]}"


def _replica(pod: Json, seen: Seen | None) -> ObservedReplica:
    return ObservedReplica(
        name=pod["metadata"]["name"],
        incarnation=_incarnation(pod),
        counts=seen.counts if seen else {},
        seen_at=seen.at if seen else None,
        why=podstate.restarts(pod)[1],
    )


def _names(owner: Resource, run: str = "") -> Json:
    """Name a resource in a log line."""
    return {"kind": owner.kind, "namespace": owner.namespace, "resource": owner.name} | ({"run": run} if run else {})


def _resource(kind: str, found: Json) -> Resource:
    metadata = found["metadata"]
    return Resource(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=found.get("spec", {}),
        status=found.get("status", {}),
        labels=metadata.get("labels", {}),
        resource_version=metadata["resourceVersion"],
        deleting=podstate.deleted(found),
        held=names.FINALIZER in (metadata.get("finalizers") or ()),
    )
