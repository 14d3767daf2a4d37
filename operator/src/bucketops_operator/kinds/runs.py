"""What every phase machine does with its list of runs: number them, start them, find the current one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from bucketops_api.contract import Limits
from bucketops_api.names import run_name, run_number
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Run
from bucketops_api.v1alpha1.scalars import parse_quantity
from bucketops_api.v1alpha1.worker import SingleWorker, Worker
from bucketops_operator import conditions
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.settings import Settings

KEPT = 10
"""Runs that the status remembers."""
FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(minutes=30)
PATIENCE = 3
"""Runs in a row whose results are unknown before people are called."""
_FACTS, _FACT = 32, 256
"""Of the capabilities in a status, at most so many, of so many characters."""


def digest(spec: Mapping[str, Any], live: Sequence[str]) -> str:
    """Identifies the work that a spec asks for; `live` fields may change without a new run."""
    frozen = {name: value for name, value in spec.items() if name not in live}
    return hashlib.sha256(json.dumps(frozen, sort_keys=True).encode()).hexdigest()[:32]


def start(resource: Resource, runs: Sequence[Run], phase: str, now: datetime, settings: Settings) -> list[Run]:
    """The list of runs with a new one at its end; its name follows from the list, so a crash repeats it."""
    run = Run(
        id=run_name(resource.name, next_number(runs), phase),
        phase=phase,
        started_at=now,
        image=settings.image,
        generation=resource.generation,
    )
    return [*runs, run][-KEPT:]


def next_number(runs: Sequence[Run]) -> int:
    """The number of the run that would come next."""
    return run_number(runs[-1].id) + 1 if runs else 1


def failed(runs: Sequence[Run], now: datetime) -> list[Run]:
    """The list after its last run has failed."""
    return [*runs[:-1], runs[-1].model_copy(update={"result": "Failed", "completed_at": now})]


def reason_of(text: str) -> Reason:
    """A worker's reason, as one of the closed list."""
    return Reason(text) if text in set(Reason) else Reason.RUN_FAILED


def current(runs: Sequence[Run]) -> Run | None:
    """The run that is under way."""
    return runs[-1] if runs and runs[-1].result == "Running" else None


def observed(run: Run | None, history: Sequence[ObservedRun]) -> ObservedRun | None:
    """What exists of a run."""
    return next((seen for seen in history if run and seen.run == run.id), None)


def ended(seen: ObservedRun | None) -> bool:
    """Whether a run is over and none of its pods can still write."""
    return seen is not None and seen.state != "Running" and seen.pods == 0


def retry_at(runs: Sequence[Run]) -> datetime:
    """When a phase that failed is tried again by itself: after 30 s, then twice as long each time, up to 30 min."""
    pause: timedelta = min(LAST_RETRY, FIRST_RETRY * 2.0 ** max(0, failures(runs) - 1))
    return (runs[-1].completed_at or runs[-1].started_at) + pause


def failures(runs: Sequence[Run]) -> int:
    """How many runs have failed since the last one that did not."""
    return next((n for n, run in enumerate(reversed(runs)) if run.result != "Failed"), len(runs))


def unknown(seen: ObservedRun, runs: Sequence[Run], doing: Reason) -> tuple[str, conditions.Verdicts]:
    """What is said of a run that ended well and whose result nobody knows, and its conditions; `runs` with this one.

    It is done again, which changes nothing that was done; where that does not help either, people are called.
    """
    again = retry_at(runs).isoformat(timespec="seconds")
    message = (
        f"the result of run {seen.run} is unknown: {seen.unknown or 'its pod is gone'}; it is done again at {again}"
    )
    helpless = failures(runs) >= PATIENCE
    return message, conditions.stalled(Reason.RESULT_UNKNOWN, message) if helpless else conditions.working(
        doing, message
    )


def capabilities(facts: Mapping[str, str]) -> dict[str, str]:
    """What a worker has found out about its servers, as much of it as a status holds."""
    return {name: fact[:_FACT] for name, fact in islice(facts.items(), _FACTS)}


def limits(
    worker: SingleWorker, shards: int, seen: ObservedRun | None, max_replication_lag: float | None = None
) -> Limits:
    """The share of one pod of the run's rates.

    A pod reads its limits up to a minute late (https://kubernetes.io/docs/concepts/configuration/configmap/): the rates
    are shared among the pods that may work by then, not only those that work now, so that together they never exceed
    them while pods start or shards end.
    """
    left = shards - seen.succeeded - seen.failed if seen else shards
    at_once = worker.parallelism if isinstance(worker, Worker) else 1
    share = max(1, min(at_once, left), seen.active if seen else 0)
    rate = worker.bytes_per_second if isinstance(worker, Worker) else None
    of_bytes = parse_quantity(rate) if rate is not None else None
    return Limits(
        requests_per_second=worker.requests_per_second / share if worker.requests_per_second else None,
        bytes_per_second=of_bytes / share if of_bytes else None,
        max_replication_lag_seconds=max_replication_lag,
    )
