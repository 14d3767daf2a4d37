"""What a person wants to know of a run under way, from its status and the live counts of its workers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich import filesize

from bucketops_api import counts
from bucketops_operator.executor import ObservedRun
from bucketops_operator.run.phases import FOUND, Far, far, steps
from bucketops_operator.run.speed import SOON, Speed
from bucketops_operator.run.words import Glyphs, duration, number, rate

Status = Mapping[str, Any]
_WAITS = {
    "database": "the database has not answered for {}",
    "store": "the store has answered nothing but errors for {}",
    "transactions": "transactions that are open in the database must end first; waiting for {}",
    "replicas": "replicas are behind by more than maxReplicationLag; waiting for {}",
}
_GETS_ON = ("run ", "begins", "spec.suspend is", "legacy objects are deleted", "production copies are deleted")
"""How messages begin that say nothing of a wait, or whose wait is told in other words."""


@dataclass(frozen=True)
class Note:
    """Something in the way. `kind` stays while the numbers in `text` change."""

    kind: str
    text: str


@dataclass(frozen=True)
class View:
    """One look at a run."""

    phase: str
    steps: tuple[str, ...] = ()
    """All phases of the work; empty if it has one."""
    fraction: float | None = None
    """Of this phase; None: nobody knows how much there is."""
    numbers: tuple[str, ...] = ()
    speed: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def observe(resource: Any, status: Status, runs: Sequence[ObservedRun], speed: Speed, now: datetime) -> View:  # noqa: ANN401 - Resource
    """Return the view at `now`, and let `speed` learn from it."""
    seen = under_way(status, runs)
    found = counts.add(seen.result.counts, dict(seen.live)) if seen else {}
    progress = far(resource.kind, seen.phase if seen else "", found, status)
    if seen:
        speed.look(seen.run, now.timestamp(), _measured(progress, found, status))
    return View(
        phase=str(status.get("phase") or "Pending"),
        steps=steps(resource.kind, resource.spec),
        fraction=progress.fraction if progress else None,
        numbers=progress.words if progress else (),
        speed=tuple(_speed(progress, speed)) if progress else (),
        notes=tuple(_notes(status, seen, found, speed, now)),
    )


def ended(kind: str, run: Mapping[str, Any], found: Mapping[str, int], status: Status, glyphs: Glyphs) -> str:
    """Return the line about a run that has gone well: what it did, and how long it took."""
    took = datetime.fromisoformat(run["completedAt"]) - datetime.fromisoformat(run["startedAt"])
    done = far(kind, run["phase"], found, status)
    said = ", ".join((*(done.words if done else ()), duration(took.total_seconds())))
    return f"{glyphs.done} {run['phase']}: {said}"


def under_way(status: Status, runs: Sequence[ObservedRun]) -> ObservedRun | None:
    """Return what is seen of the run under way, None between two runs."""
    current = next((run["id"] for run in reversed(status.get("runs", ())) if run["result"] == "Running"), None)
    return next((run for run in runs if run.run == current), None)


def _measured(progress: Far | None, found: Mapping[str, int], status: Status) -> Mapping[str, float]:
    return {
        "objects": progress.done if progress else 0,
        "bytes": status.get("progress", {}).get("bytesDone", 0),
        **{name: found.get(name, 0) for name in (counts.REQUESTS, counts.THROTTLES)},
    }


def _speed(progress: Far, speed: Speed) -> Iterator[str]:
    objects, size = speed.of("objects"), speed.of("bytes")
    if objects:
        yield f"{rate(objects)}/s"
    if size >= 1 and progress.what != FOUND:
        yield f"{filesize.decimal(int(size))}/s"
    if objects and progress.total > progress.done:
        yield f"{duration((progress.total - progress.done) / objects + 1)} left"


def _notes(
    status: Status, seen: ObservedRun | None, found: Mapping[str, int], speed: Speed, now: datetime
) -> Iterator[Note]:
    if seen:
        yield from _waits(seen, now)
        if throttled := speed.of(counts.THROTTLES, SOON):
            answered = throttled + speed.of(counts.REQUESTS, SOON)
            text = f"the store answers SlowDown to {rate(throttled)} of {rate(answered)} requests a second"
            yield Note("throttled", f"{text}: fewer are sent at once")
        if again := found.get(counts.RETRIES, 0):
            yield Note("", f"{number(again)} requests were sent again after an error")
    elif (due := status.get("deleteAfter")) and status.get("phase") == "Soaking":
        yield _grace(due, now)
    if message := _in_the_way(status, waits=bool(seen and counts.waiting(seen.live))):
        yield Note(message, message)


def _waits(seen: ObservedRun, now: datetime) -> Iterator[Note]:
    found = counts.waiting(seen.live)
    for what, words in _WAITS.items():
        if what in found:
            since, workers = found[what]
            who = f" ({workers} of {seen.active} workers wait)" if seen.active > 1 else ""
            yield Note(what, words.format(duration(now.timestamp() - since)) + who)


def _grace(due: str, now: datetime) -> Note:
    left = (datetime.fromisoformat(due) - now).total_seconds()
    if left <= 0:
        return Note("grace", "the grace is over; looking once more before anything is deleted")
    return Note("grace", f"waiting for the grace: {duration(left + 1)} left, then what was moved is deleted")


def _in_the_way(status: Status, *, waits: bool) -> str:
    """Return what a condition tells beside the waits of workers: a shard that is tried again, say."""
    held = {c["type"]: c for c in status.get("conditions", ()) if c["status"] == "True"}
    degraded, working = held.get("Degraded"), held.get("Reconciling")
    if degraded and not waits:
        return str(degraded.get("message", ""))
    message = str(working.get("message", "")) if working else ""
    return "" if message.startswith(_GETS_ON) else message
