"""Why a worker ended without a result, in words; pure.

What the kubelet says of a container and of a pod:
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-state-terminated
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

MOST = 500
"""Characters of what a worker said at its end."""
_SIGNALLED = 128
"""An exit code above it tells of a signal: https://tldp.org/LDP/abs/html/exitcodes.html."""
_MEMORY = "raise worker.template.resources.limits.memory, or lower worker.concurrency"
_KILLED = f"most often that is a lack of memory: {_MEMORY}"
_MEANINGS = {
    signal.SIGKILL: _KILLED,
    signal.SIGTERM: "it was told to stop and did not end by itself",
    signal.SIGSEGV: "it crashed in native code: report this as a bug, with its log",
    signal.SIGBUS: "it crashed in native code: report this as a bug, with its log",
    signal.SIGILL: "it met an instruction that this machine does not know: choose nodes with another CPU",
    signal.SIGABRT: "it crashed in native code: report this as a bug, with its log",
}
_CODES = {
    125: "the container could not be made",
    126: "its program could not be executed: see the image",
    127: "its program does not exist: see the image",
}
_REASONS = {
    "OOMKilled": _MEMORY,
    "Evicted": "its node was short of what is named: raise worker.template.resources.requests, or free the node",
    "DeadlineExceeded": "it was not done in the time that the pod was given",
    "ContainerCannotRun": "the container could not be started: see the image and the node",
    "StartError": "the container could not be started: see the image and the node",
    "ContainerStatusUnknown": "its node was gone, or the kubelet had forgotten the container",
    "NodeLost": "its node was gone",
    "NodeShutdown": "its node was shut down",
    "Terminated": "its node was shut down",
    "Preempting": "a pod of a higher priority needed its place",
    "UnexpectedAdmissionError": "the node refused it",
}
_SAID_NOTHING = {"", "Error", "Completed", "Failed"}
"""Reasons of the kubelet that add nothing to the exit code."""


def by_code(code: int) -> str:
    """Return an exit code in words; negative ones are signals, as `subprocess` has them, and so are those above 128."""
    number = -code if code < 0 else code - _SIGNALLED
    try:
        name = signal.Signals(number)
    except ValueError:
        return f"exit code {code}" + (f": {_CODES[code]}" if code in _CODES else "")
    meaning = _MEANINGS.get(name)
    return f"killed by {name.name}" + (f": {meaning}" if meaning else "")


def of_container(end: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Return why a worker's container ended, by its terminated state and the status of its pod."""
    pod = _sentence(str(status.get("reason") or ""), str(status.get("message") or ""))
    moved = _disruption(status)
    if not end:
        return "; ".join(filter(None, (pod, moved))) or "the pod ended without a word of the kubelet"
    reason, code = str(end.get("reason") or ""), int(end.get("exitCode", 0))
    said = _quoted(str(end.get("message") or ""))
    ended = _sentence(reason, "") if reason in _REASONS else by_code(code)
    return "; ".join(filter(None, (pod, moved, ended, said))) or f"exit code {code}"


def of_process(code: int, log: str) -> str:
    """Return why a worker on this machine ended, by its exit code and the end of its log."""
    return "; ".join(filter(None, (by_code(code), _quoted(log) or "nothing was logged")))


def _quoted(log: str) -> str:
    words = last_words(log)
    return f"its last words: {words}" if words else ""


def last_words(log: str) -> str:
    """Return what the last error of a log says, '' if it says nothing: of a JSON line the words, of text the line."""
    lines = [line for line in log.splitlines() if line.strip()]
    told = [words for line in lines if (words := _words(line))]
    errors = [words for words, is_error in told if is_error]
    if errors or told:
        return (errors[-1] if errors else told[-1][0])[:MOST]
    return lines[-1].strip()[-MOST:] if lines else ""


def _words(line: str) -> tuple[str, bool] | None:
    """Return what a line of bucketops_api.logs says, and whether it is an error; None for one that is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return _from_a_piece(line)
    if not isinstance(found, dict):
        return None
    message, why = str(found.get("message") or ""), str(found.get("why") or "")
    trace = str(found.get("trace") or "").strip().splitlines()
    words = why or ": ".join(filter(None, (message, trace[-1].strip() if trace else "")))
    return (words, str(found.get("level")) in {"error", "critical"}) if words else None


def _from_a_piece(line: str) -> tuple[str, bool] | None:
    """Return what a JSON line says whose beginning or end was cut off; None where that is not JSON's either."""
    for name in ("why", "message"):
        if found := re.search(rf'"{name}": ?"((?:[^"\\]|\\.)*)"', line):
            with suppress(ValueError):
                return json.loads(f'"{found[1]}"', strict=False), True
    return None


def _sentence(reason: str, message: str) -> str:
    if reason in _SAID_NOTHING and not message:
        return ""
    return ": ".join(filter(None, (reason, message, _REASONS.get(reason, ""))))


def _disruption(status: Mapping[str, Any]) -> str:
    """https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions."""
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("status")) == ("DisruptionTarget", "True"):
            return _sentence(str(condition.get("reason") or ""), str(condition.get("message") or ""))
    return ""
