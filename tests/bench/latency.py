"""Is latency hidden? With in-flight requests and a round trip of RTT, no client copies more than in-flight / RTT."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.objects import Copy
from bench.ratios import Spread, spread
from bench.rounds import once
from bench.servers import serving
from bench.toxiproxy import delayed
from bench.watching import steady_rate, watching

MILLISECONDS = 500
IN_FLIGHT = (50, 100, 200, 500)
ROUND_TRIPS = 40
"""How long a run is: this many round trips for each of those in flight."""


def run(contenders: Sequence[str], rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Copies per second with latency, as a share of the bound."""
    shares: dict[tuple[int, str], list[tuple[float, float]]] = {}
    with serving("gofakes3", folder) as place, delayed(place, MILLISECONDS, folder) as endpoint:
        scenarios = {
            number: Copy(place, number * ROUND_TRIPS, endpoint=endpoint, concurrency=number) for number in IN_FLIGHT
        }
        for number in range(rounds):
            for in_flight, scenario in scenarios.items():
                for contender in contenders:
                    with watching(place) as looks:
                        sample = once(scenario, contender, number)
                    bound = in_flight * 1000 / MILLISECONDS
                    share = (scenario.amount / sample.wall / bound, steady_rate(looks, scenario.amount) / bound)
                    shares.setdefault((in_flight, contender), []).append(share)
                    print(f"  round {number + 1} {in_flight} {contender}: {share[1]:.2f} of the bound", file=sys.stderr)
    rows = [_row(*key, values) for key, values in shares.items()]
    heads = ("in flight", "", "bound, copies/s", "whole run / bound", "steady / bound")
    report.table(f"copies with {MILLISECONDS} ms of latency on gofakes3, {rounds} rounds", heads, rows)
    return [{"title": "latency", "milliseconds": MILLISECONDS, "rows": rows}]


def _row(
    in_flight: int, contender: str, shares: Sequence[tuple[float, float]]
) -> tuple[int, str, float, Spread, Spread]:
    whole, steady = (spread(values) for values in zip(*shares, strict=True))
    return in_flight, contender, in_flight * 1000 / MILLISECONDS, whole, steady
