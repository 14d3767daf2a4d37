"""Kubernetes objects of a run, as data: an immutable ConfigMap with the RunSpec, one with live limits, and the Job.

The rules on Jobs are those of https://kubernetes.io/docs/concepts/workloads/controllers/job/; every feature used is
stable since Kubernetes 1.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from bucketops_api import names, release
from bucketops_api.contract import Limits, RunSpec, run_digest, run_file
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.common import Scheduled
from bucketops_api.v1alpha1.worker import Worker
from bucketops_operator.executor import Manifest, Resource
from bucketops_operator.pods import pod_metadata, pod_spec
from bucketops_operator.settings import Settings

RUN_KEY = PurePosixPath(names.RUN_FILE).name
LIMITS_KEY = PurePosixPath(names.LIMITS_FILE).name
ATTEMPTS = 6
"""Retries of one shard. The Job controller waits 10 s before the first, twice as long before each next one."""
MAKE_UP_SECONDS = 3600


def run_objects(
    resource: Resource,
    run: RunSpec,
    *,
    parallelism: int,
    suspend: bool,
    limits: Limits,
    settings: Settings,
    api_token: bool = False,
) -> tuple[Manifest, ...]:
    """What a run consists of, in the order in which it is to be created: the Job comes last, so it finds the others.

    `parallelism` counts pods, `limits` are the share of one pod. A Job of a Kueue queue is created suspended and Kueue
    alone starts it (https://kueue.sigs.k8s.io/docs/tasks/run/jobs/): there, zero pods at once are our way to suspend.
    `api_token`: the pods get one of their ServiceAccount.
    """
    labels = run_labels(resource, run)
    run_json, limits_json = run_file(run), limits.model_dump_json(by_alias=True, exclude_none=True)
    return (
        _config_map(object_metadata(resource, run.run, labels), {RUN_KEY: run_json}) | {"immutable": True},
        _config_map(object_metadata(resource, limits_name(run.run), labels), {LIMITS_KEY: limits_json}),
        _job(
            resource,
            run,
            run_digest(run_json),
            labels,
            parallelism,
            suspend=suspend,
            settings=settings,
            api_token=api_token,
        ),
    )


def schedule_objects(
    resource: Resource, run: RunSpec, spec: Scheduled, *, suspend: bool, limits: Limits, settings: Settings
) -> tuple[Manifest, ...]:
    """The CronJob of a resource with a schedule, and what its Jobs mount: one RunSpec per generation.

    It works while the operator is down. A run that was missed by less than an hour (because the one before took so
    long, or a run by hand was under way) is made up for.
    """
    labels = run_labels(resource, run)
    run_json, limits_json = run_file(run), limits.model_dump_json(by_alias=True, exclude_none=True)
    job = _job(resource, run, run_digest(run_json), labels, parallelism=1, suspend=False, settings=settings)
    metadata = {"labels": job["metadata"]["labels"]}
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": object_metadata(resource, names.schedule_name(resource.name), labels),
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": MAKE_UP_SECONDS,
            "successfulJobsHistoryLimit": spec.history.succeeded,
            "failedJobsHistoryLimit": spec.history.failed,
            "suspend": suspend,
            "jobTemplate": {"metadata": metadata, "spec": job["spec"]},
        },
    }
    return (
        _config_map(object_metadata(resource, run.run, labels), {RUN_KEY: run_json}) | {"immutable": True},
        _config_map(object_metadata(resource, limits_name(run.run), labels), {LIMITS_KEY: limits_json}),
        cron_job,
    )


def paused(job: str, *, suspend: bool) -> Manifest:
    """A change to a Job that exists: it holds, or goes on."""
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job}, "spec": {"suspend": suspend}}


def limits_name(run: str) -> str:
    """The name of the ConfigMap that holds a run's live limits."""
    return f"{run}-limits"


def run_labels(resource: Resource, run: RunSpec) -> dict[str, str]:
    """The labels on everything that belongs to a run; the operator lists and watches by them."""
    return {
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_VERSION: names.label_value(release.TAG),
        names.LABEL_KIND: resource.kind,
        names.LABEL_NAME: names.label_value(resource.name),
        names.LABEL_OWNER: resource.uid,
        names.LABEL_RUN: names.label_value(run.run),
        names.LABEL_PHASE: run.phase,
    }


def job_changes(existing: Manifest, wanted: Manifest) -> dict[str, Any]:
    """The part of a Job's spec that has to be patched, empty if none: only `suspend` and `parallelism` ever are.

    `suspend` of a Job in a Kueue queue belongs to Kueue.
    """
    has, wants = existing["spec"], wanted["spec"]
    current = {"suspend": has.get("suspend") or False, "parallelism": has.get("parallelism")}
    if names.LABEL_QUEUE in existing["metadata"].get("labels", {}):
        del current["suspend"]
    return {key: wants[key] for key, value in current.items() if key in wants and wants[key] != value}


def _job(
    resource: Resource,
    run: RunSpec,
    digest: str,
    labels: dict[str, str],
    parallelism: int,
    *,
    suspend: bool,
    settings: Settings,
    api_token: bool = False,
) -> Manifest:
    worker = Worker.model_validate(run.spec.get("worker") or {})
    queue = {key: resource.labels[key] for key in (names.LABEL_QUEUE,) if key in resource.labels}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": object_metadata(resource, run.run, labels | queue),
        "spec": {
            "completionMode": "Indexed",
            "completions": run.shards,
            "parallelism": 0 if queue and suspend else min(parallelism, run.shards),
            "suspend": suspend or bool(queue),
            "backoffLimitPerIndex": ATTEMPTS,
            "maxFailedIndexes": run.shards,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {
                "metadata": pod_metadata(worker, settings, labels),
                "spec": pod_spec(run, digest, worker, limits_name(run.run), settings, api_token=api_token),
            },
        },
    }


def _failure_rules() -> list[Mapping[str, Any]]:
    """The first rule that matches counts: a drained node costs no attempt, whatever the worker's exit code was."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": _exit_code(names.EXIT_USER)},
        {"action": "FailIndex", "onExitCodes": _exit_code(names.EXIT_SHARD)},
    ]


def _exit_code(code: int) -> Mapping[str, Any]:
    return {"containerName": names.WORKER_CONTAINER, "operator": "In", "values": [code]}


def _config_map(metadata: Manifest, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def object_metadata(resource: Resource, name: str, labels: Mapping[str, str]) -> Manifest:
    """Name, labels, and whose it is."""
    return {
        "name": name,
        "namespace": resource.namespace,
        "labels": labels,
        # What is made during a deletion is removed by us; the garbage collector of a foreground one would be quicker.
        "ownerReferences": [] if resource.deleting else [_owner(resource)],
    }


def _owner(resource: Resource) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "name": resource.name,
        "uid": resource.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
