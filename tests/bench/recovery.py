"""A server whose capacity halves in mid-run: does the number of requests in flight fall, and recover?"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench import report
from bench.contenders import OURS
from bench.objects import Copy
from bench.rounds import once
from bench.servers import ask, serving
from bench.watching import Interval, intervals, watching

SERVICE_SECONDS = 0.2
CAPACITY = 200
"""Requests per second: with the service time, 40 in flight use it up."""
HALVED, RESTORED, END = 20.0, 40.0, 60.0
"""Seconds. The phases' first quarters are left out of their means."""
INTERVAL = 1.0
CONCURRENCY = 128


def run(folder: Path) -> list[dict[str, Any]]:
    """One run, printed second by second."""
    with serving("gofakes3", folder, "-service-time", f"{SERVICE_SECONDS}s") as place:
        amount = int(CAPACITY * (HALVED + (RESTORED - HALVED) / 2 + (END - RESTORED)))
        scenario = Copy(place, amount, concurrency=CONCURRENCY)
        scenario.timeout = END * 10
        ask(place, "capacity", rate=CAPACITY)
        changes = [
            threading.Timer(at, ask, (place, "capacity"), {"rate": rate})
            for at, rate in ((HALVED, CAPACITY // 2), (RESTORED, CAPACITY))
        ]
        for change in changes:
            change.start()
        with watching(place) as looks:
            sample = once(scenario, OURS, 0)
        for change in changes:
            change.cancel()
    seen = [each for each in intervals(looks, INTERVAL) if each.at < sample.wall]  # then it is verified
    phases = {name: _phase(seen, *when) for name, when in _phases(sample.wall).items()}
    _show(seen, phases)
    return [{"title": "recovery", "capacity": CAPACITY, "intervals": seen, "phases": phases, "seconds": sample.wall}]


def _show(seen: Sequence[Interval], phases: Mapping[str, tuple[float, float, float]]) -> None:
    report.table(
        f"a server whose capacity of {CAPACITY} requests/s halves and comes back",
        ("second", "capacity/s", "copied/s", "refused/s", "in flight", ""),
        [(*_row(each), "#" * round(each.in_flight)) for each in seen],
    )
    lines = [(name, *map(round, phase)) for name, phase in phases.items()]
    report.table("the phases, settled", ("phase", "copied/s", "refused/s", "in flight"), lines)


def capacity_at(second: float) -> int:
    """Requests per second."""
    return CAPACITY // 2 if HALVED <= second < RESTORED else CAPACITY


def _row(each: Interval) -> tuple[int, int, int, int, int]:
    capacity = capacity_at(each.at)
    return round(each.at), capacity, round(each.accepted), round(each.refused), round(each.in_flight)


def _phases(wall: float) -> dict[str, tuple[float, float]]:
    quarter = (RESTORED - HALVED) / 4
    return {
        "before": (quarter, HALVED),
        "halved": (HALVED + quarter, RESTORED),
        "restored": (RESTORED + quarter, wall - 2 * INTERVAL),
    }


def _phase(seen: Sequence[Interval], start: float, end: float) -> tuple[float, float, float]:
    """Means of copied, refused and in flight."""
    within = [each for each in seen if start <= each.at < end]
    if not within:
        return 0.0, 0.0, 0.0
    return mean(e.accepted for e in within), mean(e.refused for e in within), mean(e.in_flight for e in within)
