"""A worker: RunSpec file in, result and exit code out; dispatch by (kind, phase)."""

from __future__ import annotations

import importlib
import logging
import os
import random
import resource
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from bucketops_api import listening, logs, names
from bucketops_api.contract import RunResult, RunSpec, run_digest
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_jobs import heap
from bucketops_jobs.engine import Engine
from bucketops_jobs.errors import DatabaseError, DeniedError, ShardError, StoppedError, UserError, WorkerError
from bucketops_jobs.pace import Pace
from bucketops_jobs.tally import Tally

log = logging.getLogger(__name__)

_PARENT_SECONDS = 0.5
"""How often a worker looks whether its parent still lives."""
_NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "true")
"""Nobody's code reads the specs along with us, and no package is searched for such code."""
STOP_SECONDS = 40.0
"""From the signal to the end, at most: well within a pod's grace period, so that the result is still written."""

_ENDINGS: tuple[tuple[type[WorkerError], int, str], ...] = (
    (DeniedError, names.EXIT_USER, Reason.ACCESS_DENIED),
    (ShardError, names.EXIT_SHARD, Reason.RUN_FAILED),
    (StoppedError, names.EXIT_RETRY, ""),
)

Job = Callable[[RunSpec, int, Path, Engine, Tally], RunResult]


KINDS: Mapping[str, str] = {
    "S3Migration": "bucketops_jobs.migration.job",
    "S3Retention": "bucketops_jobs.retention.job",
    "S3Access": "bucketops_jobs.access.job",
    "ExifPipeline": "bucketops_jobs.pipeline.job",
}
"""A worker imports the libraries of its own kind alone: half of its start is imports."""


def main() -> int:
    """Run one shard of one phase."""
    os.environ.setdefault(*_NO_PLUGINS)
    logs.setup(os.environ.get(names.ENV_LOG_FORMAT, "json"))
    heap.prepare()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _stop_with_parent(stop)
    _end_in_time(stop)
    root = Path(os.environ.get(names.ENV_ROOT, names.MOUNT_ROOT))
    shard = int(os.environ.get(names.ENV_INDEX, "0"))
    code, result = told(*work(root, shard, stop, _serve))
    _write(result)
    return code


def told(code: int, result: RunResult) -> tuple[int, RunResult]:
    """Return exit code and result as they can be told: work that went well and whose result does not fit has failed.

    Another attempt would find as much, so it is not made.
    """
    if result.fits:
        return code, result
    if code == names.EXIT_DONE:
        log.error("stopped", extra={"exit": names.EXIT_SHARD, "why": result.too_large().message})
        return names.EXIT_SHARD, result.too_large()
    return code, result.as_failure()


def _write(result: RunResult) -> None:
    Path(os.environ.get(names.ENV_RESULT, names.TERMINATION_LOG)).write_text(result.encode())


def _end_in_time(stop: threading.Event) -> None:
    """A call that neither ends nor can be cancelled must not hold the worker until it is killed without a word."""

    def watch() -> None:
        stop.wait()
        time.sleep(STOP_SECONDS)
        log.warning("stopped in the middle of a call", extra={"exit": names.EXIT_RETRY})
        _write(RunResult(message="told to stop; a call was still under way; the next attempt goes on from here"))
        os._exit(names.EXIT_RETRY)

    threading.Thread(target=watch, daemon=True).start()


def _stop_with_parent(stop: threading.Event) -> None:
    """On a laptop: a `bucketops run` that was killed must not leave workers behind."""
    parent = os.environ.get(names.ENV_PARENT)

    def watch() -> None:
        while str(os.getppid()) == parent:
            time.sleep(_PARENT_SECONDS)
        stop.set()

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def work(
    root: Path, shard: int, stop: threading.Event, serve: Callable[[Tally], None] = lambda _: None
) -> tuple[int, RunResult]:
    """The exit code and the result of one shard; every error becomes both, once, and no word of them is a secret."""
    code, result = _worked(root, shard, stop, serve)
    return code, result.masked()


def _worked(root: Path, shard: int, stop: threading.Event, serve: Callable[[Tally], None]) -> tuple[int, RunResult]:
    tally = Tally()
    try:
        run = _read(root, tally)
        log.info("start", extra={"run": run.run, "phase": run.phase, "shard": shard})
        _wait_a_little(run, stop)
        pace = Pace(int(run.spec["worker"]["concurrency"]), root / names.LIMITS_FILE, stop)
        pace.refresh()
        tally.requests = pace.metrics
        tally.show(pace.waits)
        serve(tally)
        with Engine(pace, int(run.spec["worker"]["concurrency"])) as engine:
            result = _job(run.kind)(run, shard, root, engine, tally)
    except (WorkerError, ValidationError) as error:
        return _failed(tally, *_ending(error))
    except Exception as error:
        log.exception("failed")
        return _failed(tally, names.EXIT_RETRY, Reason.RUN_FAILED, f"{type(error).__name__}: {error}")
    log.info("done", extra={"counts": result.counts, "peak_memory_mib": _peak_memory()})
    return names.EXIT_DONE, result


def _invalid(error: ValidationError) -> str:
    """A spec that this version of the worker cannot work by; no value of it is told."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _ending(error: WorkerError | ValidationError) -> tuple[int, str, str]:
    """Return exit code, reason and words of refused work; what a database has refused it refuses again."""
    if isinstance(error, ValidationError):
        return names.EXIT_USER, Reason.INVALID_SPEC, _invalid(error)
    if isinstance(error, UserError):
        return names.EXIT_USER, error.reason, str(error)
    if isinstance(error, DatabaseError) and not error.transient:
        return names.EXIT_USER, Reason.DATABASE_REFUSED, str(error)
    for kind, code, reason in _ENDINGS:
        if isinstance(error, kind):
            return code, reason, str(error)
    return names.EXIT_RETRY, Reason.RUN_FAILED, str(error)


def _job(kind: str) -> Job:
    job: Job = importlib.import_module(KINDS[kind]).work
    return job


def _wait_a_little(run: RunSpec, stop: threading.Event) -> None:
    """Runs of one schedule in many namespaces would all begin in the same second."""
    if run.jitter_seconds and stop.wait(random.uniform(0, run.jitter_seconds)):  # noqa: S311 - spreads load
        raise StoppedError("told to stop before it began")


def _peak_memory() -> int:
    """The most memory that this process has held so far, in MiB (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _read(root: Path, tally: Tally) -> RunSpec:
    """Return the RunSpec; UserError for a changed file, and for a version or key that this worker does not know."""
    try:
        content = (root / names.RUN_FILE).read_text()
        _require_unchanged(content)
        tally.run_sha256 = run_digest(content)
        run = RunSpec.model_validate_json(content)
    except (OSError, ValidationError) as error:
        raise UserError(Reason.CONTRACT_MISMATCH, f"the run file cannot be read by this version: {error}") from error
    if run.kind not in KINDS:
        raise UserError(Reason.CONTRACT_MISMATCH, f"this version knows no kind {run.kind}")
    MASK.publish([run.model_dump_json(by_alias=True)])
    return run


def _require_unchanged(content: str) -> None:
    """Whoever may edit ConfigMaps could replace what this pod was made to do; its template they cannot change."""
    expected = os.environ.get(names.ENV_RUN_DIGEST)
    if expected is not None and expected != run_digest(content):
        raise UserError(
            Reason.CONTRACT_MISMATCH,
            "the run file is not the one that this pod was made for: somebody has replaced its ConfigMap; start a new "
            "run (change spec.trigger), and see who may edit ConfigMaps in this namespace",
        )


def _failed(tally: Tally, code: int, reason: str, message: str) -> tuple[int, RunResult]:
    log.error("stopped", extra={"exit": code, "reason": reason, "why": message})
    return code, tally.result().model_copy(update={"reason": reason, "message": message})


def _serve(tally: Tally) -> None:
    """Listen at once; what answers is made when somebody asks for the first time."""
    port, address = os.environ.get(names.ENV_METRICS_PORT, names.METRICS_PORT), os.environ.get(names.ENV_LISTEN)
    listener = listening.bind(int(port), address or "")

    def answer() -> None:
        select.select([listener], [], [])
        from bucketops_jobs import exposition  # noqa: PLC0415 - as its docstring says

        exposition.serve(listener, tally)

    threading.Thread(target=answer, name="metrics", daemon=True).start()
