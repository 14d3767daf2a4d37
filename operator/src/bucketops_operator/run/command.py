"""The command itself: the loop, the exit code."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bucketops_api import names
from bucketops_api.reasons import OPEN_ENDS, Reason
from bucketops_operator.executor import Resource
from bucketops_operator.local import Local
from bucketops_operator.local_worker import RunWorker, thread_worker
from bucketops_operator.reconcile import reconcile
from bucketops_operator.run import display, stopping, terminal
from bucketops_operator.run.data import ManifestError
from bucketops_operator.run.manifest import Manifest, read
from bucketops_operator.run.output import dump
from bucketops_operator.run.stopping import Stop, on_signals
from bucketops_operator.run.summary import Ending, Summary, ending
from bucketops_operator.run.workspace import workspace
from bucketops_operator.settings import Settings

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
LOOK_SECONDS = 0.2
_NOT_THE_USERS = {Reason.RUN_FAILED, Reason.RESULT_UNKNOWN, Reason.RESULT_TOO_LARGE}
SETTINGS = Settings(status_seconds=0.25)


def run(options: argparse.Namespace) -> int:
    """Read, work, tell."""
    try:
        manifest = read(options.file, options.secret)
    except ManifestError as error:
        terminal.complain(error)
        return names.EXIT_USER
    stop, began = Stop(), time.monotonic()
    with on_signals(stop):
        status = work(manifest, stop, thread_worker() if options.in_process else None)
    end = ending(status, open_ends=_has_open_ends(status), at_once=stop.at_once)
    _tell(manifest.resource, status, end, options.output, time.monotonic() - began)
    if stop.at_once and options.in_process:  # threads in the middle of their work would keep the process
        sys.stdout.flush()
        os._exit(EXIT_INTERRUPTED)
    return exit_code(status)


def _tell(resource: Resource, status: Mapping[str, Any], end: Ending, output: str, seconds: float) -> None:
    """The end for people goes to stdout, unless it is the fields that are wanted there."""
    stream = sys.stderr if output else sys.stdout
    Summary(terminal.console_of(stream), terminal.glyphs_of(stream)).whole(resource, status, end, seconds)
    stream.flush()
    if output:
        dump(status, output, sys.stdout)
    elif terminal.is_live(sys.stderr) and not sys.stdout.isatty():
        Summary(terminal.console_of(sys.stderr), terminal.glyphs_of(sys.stderr)).headline(end)


def work(manifest: Manifest, stop: Stop, run_worker: RunWorker | None) -> Mapping[str, Any]:
    """Reconcile until the end, the user's turn, or a stop; the last status."""
    with workspace() as root, display.Display(sys.stderr, manifest.resource) as shown:
        given: dict[str, Any] = {"config_maps": manifest.config_maps, "keep": manifest.keep, "beside": manifest.beside}
        local = Local(root, manifest.secrets, run_worker=run_worker, **given)
        try:
            return _loop(manifest, local, shown, stop)
        finally:
            local.close(wait=not stop.at_once)


def _loop(manifest: Manifest, local: Local, shown: display.Display, stop: Stop) -> Mapping[str, Any]:
    told, resource = 0, manifest.resource
    while True:
        if stop.wanted and not resource.spec.get("suspend"):
            shown.say(stopping.AT_A_SAFE_POINT)
            resource = replace(resource, spec={**resource.spec, "suspend": True})
        status = local.statuses.get(resource.uid, {})
        reconcile(replace(resource, status=status), local, datetime.now(UTC), SETTINGS)
        status = local.statuses[resource.uid]
        seen = local.observed.get(resource.uid, ())
        shown.tell_ended(status, seen)
        for _, event in local.events[told:]:
            shown.tell(event, status)
        told = len(local.events)
        shown.show(status, seen)
        if _is_true(status, "Complete", "Failed", "Stalled") or (stop.wanted and not local.busy()):
            return status
        if stop.at_once:
            shown.say(stopping.AT_ONCE)
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
