"""Names that operator, workers, chart and people share: labels, paths, exit codes."""

from __future__ import annotations

import hashlib
import re

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
ENV_LISTEN = "BUCKETOPS_LISTEN"
"""The address that a worker's servers listen on; absent: all, as in a pod."""
ENV_LOG_FORMAT = "BUCKETOPS_LOG_FORMAT"
ENV_PARENT = "BUCKETOPS_PARENT"
"""Process id of `bucketops run`: a worker whose parent is gone stops at a safe point."""
ENV_RUN_DIGEST = "BUCKETOPS_RUN_SHA256"
"""The SHA-256 of the run file, in hexadecimal: a worker refuses a run file that was changed since its pod was made."""
ENV_INDEX = "JOB_COMPLETION_INDEX"
"""Set by the Job controller in the pods of an Indexed Job."""

WORKER_CONTAINER = "worker"
METRICS_PORT = 9090
ENV_WEBHOOK_PORT = "BUCKETOPS_WEBHOOK_PORT"
WEBHOOK_PORT = 8080
"""Where events are posted to, in a pod and at its Service."""
WORKER_METRICS = "bucketops_worker_"
"""What a worker has counted is in counts.py; these are about its requests to the store."""
METRIC_REQUEST_SECONDS = f"{WORKER_METRICS}request_duration_seconds"
METRIC_RETRIES = f"{WORKER_METRICS}request_retries"
METRIC_THROTTLES = f"{WORKER_METRICS}request_throttles"
METRIC_IN_FLIGHT = f"{WORKER_METRICS}requests_in_flight"
METRIC_IN_FLIGHT_LIMIT = f"{WORKER_METRICS}requests_in_flight_limit"

EXIT_DONE = 0
EXIT_RETRY = 1
EXIT_USER = 64
"""The user must change something: no retry (sysexits' EX_USAGE)."""
EXIT_SHARD = 65
"""This shard cannot succeed: the others go on (sysexits' EX_DATAERR)."""

RECORDS_FOLDER = ".bucketops/"
"""Left out of every listing, count, rule and audit."""
PROBE_KEY = ".bucketops-access-probe"
"""By it S3Access tries what its users may do, beside the records, which these may not write. Left out as well."""

FINALIZER = f"{GROUP}/finalizer"
SECRET_MADE_KEY = f"{GROUP}.made-for"
"""In a Secret that the operator made; its value is `secret_mark`. Workers see the keys of a Secret, and no labels."""
SECRET_GIVEN_KEY = f"{GROUP}.given-for"
"""In a Secret that somebody else made and lets one S3Access use: the opt-in. Its value is `secret_mark`."""
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
FORMER_SECRET_KEYS = "FORMER_SECRET_ACCESS_KEYS"  # noqa: S105 - a name
"""In a bucket's Secret, optional: the secret keys that it held before, blanks or lines between them. They sign no
request; the journal of an S3Migration that was sealed with them counts on."""

_OBJECT_NAME_MAX = 253
_NAME_MAX = 52
"""A Job's pods are named <job>-<index>-<5 characters>; 63 is the limit of a label and of a host name."""
_CRONJOB_MAX = 43
"""Its Jobs have a dash and 8 digits more: the minutes since 1970. A StatefulSet's revisions need as many."""
_SCHEDULED = "-scheduled"
_LISTENER = "-events"


def lies_in_records(key: str) -> bool:
    """Return whether a key, or every key below a prefix, lies in a folder of records, which may be anywhere."""
    return f"/{RECORDS_FOLDER}" in f"/{key}"


def run_name(resource: str, number: int, phase: str) -> str:
    """The name of a run's Job and ConfigMap: `<resource>-<number>-<phase>`, shortened with a digest where too long."""
    return _shortened(resource, f"-{number}-{phase}", _NAME_MAX)


def schedule_name(resource: str) -> str:
    """The name of a resource's CronJob; its Jobs bear the minute of their schedule behind it."""
    return _shortened(resource, _SCHEDULED, _CRONJOB_MAX)


def listener_name(resource: str) -> str:
    """The name of the StatefulSet that hears a resource's events, of its RunSpec and of its Service."""
    return _shortened(resource, _LISTENER, _CRONJOB_MAX)


def schedule_spec_name(resource: str, generation: int) -> str:
    """The name of the RunSpec that a schedule's Jobs work on: one per generation of the resource."""
    return f"{schedule_name(resource)}-g{generation}"


def schedule_generation(run_spec: str) -> int:
    """The generation in that name."""
    return int(run_spec.rpartition("-g")[2])


def secret_mark(kind: str, namespace: str, name: str, endpoint: str | None) -> str:
    """Return what a Secret says of whom it is for: a resource, and the server that may see the pair."""
    return f"{kind} {namespace}/{name} at {endpoint.rstrip('/') if endpoint else 'AWS'}"


def staged_secret(run: str) -> str:
    """The name of the Secret that holds a run's new key until it is known to work."""
    return f"{run}-key"


def run_number(run: str) -> int:
    """The number in a run's name: counted by us, or the minute of a schedule."""
    _, number, phase = run.rsplit("-", 2)
    return int(phase if f"-{number}" == _SCHEDULED else number)


def is_run_name(name: str) -> bool:
    """Return whether `run_number` can read the number in a name; whoever may create Jobs may choose other names."""
    return re.fullmatch(r".+-(\d{1,10}-[a-z]+|scheduled-\d{1,10})", name, re.ASCII) is not None


def is_object_name(name: str) -> bool:
    """Return whether Kubernetes takes a name: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return len(name) <= _OBJECT_NAME_MAX and re.fullmatch(rf"{label}(\.{label})*", name) is not None


def is_data_key(key: str) -> bool:
    """Return whether Kubernetes takes a key of a Secret or ConfigMap; it becomes the name of a file.

    https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object
    """
    if key == "." or key.startswith(".."):
        return False
    return len(key) <= _OBJECT_NAME_MAX and re.fullmatch(r"[-._a-zA-Z0-9]+", key) is not None


def _shortened(resource: str, tail: str, limit: int) -> str:
    resource = resource.replace(".", "-")
    if len(resource) + len(tail) <= limit:
        return resource + tail
    digest = hashlib.sha256(resource.encode()).hexdigest()[:8]
    return f"{resource[: limit - len(tail) - 9]}-{digest}{tail}"


def label_value(text: str) -> str:
    """`text` as a label's value (at most 63 characters); a long one is cut and ends in its digest."""
    limit = 63
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
