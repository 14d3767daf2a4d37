"""Names that operator, workers, chart and people share: labels, paths, exit codes."""

from __future__ import annotations

import hashlib

GROUP = "bucketops.dev"
MANAGER = "bucketops"
"""Field manager of every server-side apply, and value of the managed-by label."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_VERSION = "app.kubernetes.io/version"
LABEL_KIND = f"{GROUP}/kind"
LABEL_NAME = f"{GROUP}/name"
LABEL_OWNER = f"{GROUP}/owner-uid"
LABEL_RUN = f"{GROUP}/run"
LABEL_PHASE = f"{GROUP}/phase"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
"""Copied from a resource to its Jobs: https://kueue.sigs.k8s.io/docs/tasks/run/jobs/."""

MOUNT_ROOT = "/var/run/bucketops"
"""Everything that the operator hands to a worker is mounted below it; BUCKETOPS_ROOT replaces it on a laptop."""
RUN_FILE = "run/run.json"
LIMITS_FILE = "limits/limits.json"
SECRETS_DIR = "secrets"
CONFIG_MAPS_DIR = "configmaps"
DELIVERED_DIR = "delivered"
"""On a laptop a worker leaves here what it puts into a Secret in a cluster."""
SCRATCH_DIR = "/tmp"  # noqa: S108 - an emptyDir of the pod
TERMINATION_LOG = "/dev/termination-log"

ENV_ROOT = "BUCKETOPS_ROOT"
ENV_RESULT = "BUCKETOPS_RESULT"
ENV_METRICS_PORT = "BUCKETOPS_METRICS_PORT"
ENV_PARENT = "BUCKETOPS_PARENT"
"""Process id of `bucketops run`: a worker whose parent is gone stops at a safe point."""
ENV_INDEX = "JOB_COMPLETION_INDEX"
"""Set by the Job controller in the pods of an Indexed Job."""

WORKER_CONTAINER = "worker"
METRICS_PORT = 9090

EXIT_DONE = 0
EXIT_RETRY = 1
EXIT_USER = 64
"""The user must change something: no retry (sysexits' EX_USAGE)."""
EXIT_SHARD = 65
"""This shard cannot succeed: the others go on (sysexits' EX_DATAERR)."""

RECORDS_FOLDER = ".bucketops/"
"""Left out of every listing, count, rule and audit."""

FINALIZER = f"{GROUP}/finalizer"
SECRET_OWNER_KEY = f"{GROUP}.made-for"
"""In a Secret that was made here: by it a worker, which sees no labels, tells it from one that was given."""
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"

_NAME_MAX = 52
"""A Job's pods are named <job>-<index>-<5 characters>; 63 is the limit of a label and of a host name."""


def run_name(resource: str, number: int, phase: str) -> str:
    """The name of a run's Job and ConfigMap: `<resource>-<number>-<phase>`, shortened with a digest where too long."""
    tail = f"-{number}-{phase}"
    resource = resource.replace(".", "-")
    if len(resource) + len(tail) <= _NAME_MAX:
        return resource + tail
    digest = hashlib.sha256(resource.encode()).hexdigest()[:8]
    return f"{resource[: _NAME_MAX - len(tail) - 9]}-{digest}{tail}"


def staged_secret(run: str) -> str:
    """The name of the Secret that holds a run's new key until it is known to work."""
    return f"{run}-key"


def run_number(run: str) -> int:
    """The number in a run's name."""
    return int(run.rsplit("-", 2)[1])


def label_value(text: str) -> str:
    """`text` as a label's value (at most 63 characters); a long one is cut and ends in its digest."""
    limit = 63
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
