"""Does memory grow with the number of objects? Peak resident memory at two sizes, ten times apart."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report
from bench.contenders import OURS
from bench.listing import BUCKET, PREFIX, Listing
from bench.objects import Copy
from bench.rounds import Scenario, once
from bench.servers import Place, serving


def _listing(place: Place, amount: int) -> Scenario:
    place.make(BUCKET)
    place.seed(BUCKET, PREFIX, amount)
    return Listing(place, amount)


WHAT: dict[str, Callable[[Place, int], Scenario]] = {"copy": Copy, "list": _listing}


def run(most: int, folder: Path) -> list[dict[str, Any]]:
    """Copy and list `most` objects and a tenth of them on gofakes3; each size has a server of its own."""
    rows = []
    for name, make in WHAT.items():
        peaks = {}
        for amount in (most // 10, most):
            with serving("gofakes3", folder / f"{name}-{amount}") as place:
                scenario = make(place, amount)
                print(scenario.title, file=sys.stderr)
                peaks[amount] = once(scenario, OURS, 0).memory
        small, large = peaks.values()
        rows.append((name, f"{small:,.1f}", f"{large:,.1f}", f"{large / small:.2f}"))
    heads = ("", f"{most // 10:,} objects, MiB", f"{most:,} objects, MiB", "ratio")
    report.table("peak resident memory", heads, rows)
    return [{"title": "memory", "heads": heads, "rows": rows}]
