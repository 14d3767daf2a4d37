"""The command itself: flags, the loop, the exit code."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.reasons import OPEN_ENDS, Reason
from bucketops_operator.local import Local
from bucketops_operator.local_worker import RunWorker, thread_worker
from bucketops_operator.reconcile import reconcile
from bucketops_operator.run import display
from bucketops_operator.run.data import ManifestError
from bucketops_operator.run.manifest import Manifest, read
from bucketops_operator.run.workspace import workspace
from bucketops_operator.settings import Settings

HELP = "run a resource from a file on this machine: the same work as in a cluster, resumable, stopped by Ctrl-C"
EPILOG = """exit codes: 0 complete or planned; 1 failed, wholly or in part, or complete with rows that have no object or
objects that have no row; 64 something must be changed first; 130 stopped by Ctrl-C at a safe point: the same command
goes on from there."""
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
LOOK_SECONDS = 0.2
_NOT_THE_USERS = {Reason.RUN_FAILED, Reason.RESULT_UNKNOWN, Reason.RESULT_TOO_LARGE}
SETTINGS = Settings(status_seconds=1.0)


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `run` to the subcommands."""
    parser = commands.add_parser("run", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument(
        "-f", "--file", type=Path, required=True, help="the resource in YAML; its Secrets may stand beside it"
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=FILE.env",
        help="a Secret, KEY=VALUE per line; one that S3Access makes is written there",
    )
    parser.add_argument(
        "--in-process", action="store_true", help="workers are threads, so that a debugger's breakpoints hold"
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "json", "yaml"), default="table", help="form of the final status"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, work, tell."""
    try:
        manifest = read(options.file, options.secret)
    except ManifestError as error:
        sys.stderr.write(f"{error}\n")
        return names.EXIT_USER
    stop = threading.Event()
    previous = signal.signal(signal.SIGINT, lambda *_: stop.set())
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        status = work(manifest, stop, thread_worker() if options.in_process else None)
    finally:
        signal.signal(signal.SIGINT, previous)
    display.result(status, options.output, sys.stdout)
    return exit_code(status)


def work(manifest: Manifest, stop: threading.Event, run_worker: RunWorker | None) -> Mapping[str, Any]:
    """Reconcile until the end, the user's turn, or a stop; the last status."""
    with workspace() as root, display.Display(sys.stderr) as shown:
        given: dict[str, Any] = {"config_maps": manifest.config_maps, "keep": manifest.keep, "beside": manifest.beside}
        local = Local(root, manifest.secrets, run_worker=run_worker, **given)
        try:
            return _loop(manifest, local, shown, stop)
        finally:
            local.close()


def _loop(manifest: Manifest, local: Local, shown: display.Display, stop: threading.Event) -> Mapping[str, Any]:
    told, resource = 0, manifest.resource
    while True:
        if stop.is_set() and not resource.spec.get("suspend"):
            shown.say("stopping at a safe point …")
            resource = replace(resource, spec={**resource.spec, "suspend": True})
        status = local.statuses.get(resource.uid, {})
        reconcile(replace(resource, status=status), local, datetime.now(UTC), SETTINGS)
        status = local.statuses[resource.uid]
        for _, event in local.events[told:]:
            shown.say(f"{event.reason}: {event.message}")
        told = len(local.events)
        shown.show(status)
        if _is_true(status, "Complete", "Failed", "Stalled") or (stop.is_set() and not local.busy()):
            return status
        local.wait(LOOK_SECONDS)


def exit_code(status: Mapping[str, Any]) -> int:
    """What the final status means to a shell."""
    if _is_true(status, "Complete"):
        return EXIT_FAILED if _has_open_ends(status) else names.EXIT_DONE
    if _is_true(status, "Failed"):
        return EXIT_FAILED
    if _is_true(status, "Stalled"):
        reason = next(c["reason"] for c in status["conditions"] if c["type"] == "Stalled")
        return EXIT_FAILED if reason in _NOT_THE_USERS else names.EXIT_USER
    return EXIT_INTERRUPTED


def _has_open_ends(status: Mapping[str, Any]) -> bool:
    """Whether the work is done and a person must look at something all the same."""
    return any(
        c["type"] == "Degraded" and c["status"] == "True" and c["reason"] in OPEN_ENDS for c in status["conditions"]
    )


def _is_true(status: Mapping[str, Any], *types: str) -> bool:
    return any(c["type"] in types and c["status"] == "True" for c in status.get("conditions", ()))
