"""The objects of a resource in the API server: found by label, counted only by their controller reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bucketops_api import names
from bucketops_operator import children, podstate
from bucketops_operator.children import Standing
from bucketops_operator.errors import CONFLICT, ApiError
from bucketops_operator.executor import Resource
from bucketops_operator.rest import Api, path

Json = dict[str, Any]

PLURALS = {
    "Job": "jobs",
    "CronJob": "cronjobs",
    "ConfigMap": "configmaps",
    "StatefulSet": "statefulsets",
    "Service": "services",
}
API_VERSIONS = {
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "ConfigMap": "v1",
    "StatefulSet": "apps/v1",
    "Service": "v1",
}


class Children:
    """Lists and deletes what a resource controls; what others made or copied is left alone, whatever its labels."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def jobs(self, owner: Resource) -> list[Json]:
        """Return the Jobs of a resource's runs."""
        return [job for job in self._live_jobs(owner) if children.is_run(job) and self._is_owned(owner, job)]

    def pods(self, owner: Resource, jobs: Sequence[Json]) -> dict[str, list[Json]]:
        """Return the pods of each of these Jobs by its name, those of an older Job of the same name included."""
        pods: dict[str, list[Json]] = {job["metadata"]["name"]: [] for job in jobs}
        for pod in self._labelled(owner, "v1", "pods") if jobs else ():
            job = podstate.job_of(pod)
            if job in pods and children.is_pod_of(pod, job):
                pods[job].append(pod)
        return pods

    def replicas(self, owner: Resource) -> list[Json]:
        """Return the pods of the StatefulSet that hears a resource's events."""
        selector = {"labelSelector": f"{names.LABEL_OWNER}={owner.uid},!{names.LABEL_RUN}"}
        listed = self._api.pages(path("v1", "pods", owner.namespace), selector)
        return [pod for pod in listed if children.is_replica(pod, owner) and not podstate.deleted(pod)]

    def pods_of_former_jobs(self, owner: Resource) -> Iterator[Json]:
        """Yield the pods that may still work although their Job is gone, or is being deleted."""
        jobs = {job["metadata"]["uid"] for job in self._live_jobs(owner)}
        for pod in self._labelled(owner, "v1", "pods"):
            made_by = children.controller(pod)
            if podstate.unfinished(pod) and made_by.get("kind") == "Job" and made_by.get("uid") not in jobs:
                yield pod

    def delete(self, owner: Resource, kind: str, name: str) -> bool:
        """Delete an object if it is the owner's, and return whether it was: a name alone says nothing."""
        target = path(API_VERSIONS[kind], PLURALS[kind], owner.namespace, name)
        found = self._api.find(target)
        if found is None or not self._is_owned(owner, found):
            return False
        self._delete(target, found["metadata"]["uid"])
        return True

    def delete_job(self, owner: Resource, name: str, uid: str) -> None:
        """Delete a Job that `jobs` has returned, as it was then: another one of that name stays."""
        self._delete(path("batch/v1", "jobs", owner.namespace, name), uid)

    def _delete(self, target: str, uid: str) -> None:
        """Delete the object that was seen there; another one that has its name now is told by a conflict, and stays."""
        try:
            self._api.delete(target, uid=uid)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    def _is_owned(self, owner: Resource, found: Json) -> bool:
        found_to_be = children.standing(found, owner)
        return found_to_be is Standing.OURS or (found_to_be is Standing.FORGED and self._is_scheduled(owner, found))

    def _is_scheduled(self, owner: Resource, job: Json) -> bool:
        """Return whether the resource's own CronJob made this Job."""
        if not children.is_scheduled(job, owner):
            return False
        found = self._api.find(path("batch/v1", "cronjobs", owner.namespace, names.schedule_name(owner.name)))
        if found is None or found["metadata"]["uid"] != children.controller(job).get("uid"):
            return False
        return children.is_controlled(found, owner)

    def _live_jobs(self, owner: Resource) -> Iterator[Json]:
        return (job for job in self._labelled(owner, "batch/v1", "jobs") if not podstate.deleted(job))

    def _labelled(self, owner: Resource, api_version: str, plural: str) -> Iterator[Json]:
        selector = {"labelSelector": f"{names.LABEL_OWNER}={owner.uid},{names.LABEL_RUN}"}
        return self._api.pages(path(api_version, plural, owner.namespace), selector)
