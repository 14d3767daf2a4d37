"""What is printed and kept: a table of medians with quartiles, and all samples as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.contenders import OURS
from bench.ratios import Spread, paired, spread
from bench.rounds import Sample

MICRO = 1e6


@dataclass(frozen=True)
class Row:
    """One contender. Ratios are ours to theirs: a rate above 1 is good, a cost below 1 is."""

    contender: str
    rate: Spread
    cpu: Spread
    server_cpu: Spread
    memory: float
    rate_ratio: Spread | None
    cpu_ratio: Spread | None


def rows(samples: Sequence[Sample], amount: int) -> list[Row]:
    """The table's rows, the fastest first. Rates are units per second, costs µs per unit."""
    names = list(dict.fromkeys(sample.contender for sample in samples))

    def by_round(name: str, value: Callable[[Sample], float]) -> dict[int, float]:
        return {sample.round: value(sample) for sample in samples if sample.contender == name}

    def row(name: str) -> Row:
        rate, cpu = by_round(name, lambda s: amount / s.wall), by_round(name, lambda s: s.cpu / amount * MICRO)
        others = OURS in names and name != OURS
        return Row(
            name,
            spread(list(rate.values())),
            spread(list(cpu.values())),
            spread(list(by_round(name, lambda s: s.server_cpu / amount * MICRO).values())),
            max(by_round(name, lambda s: s.memory).values()),
            paired(by_round(OURS, lambda s: amount / s.wall), rate) if others else None,
            paired(by_round(OURS, lambda s: s.cpu), by_round(name, lambda s: s.cpu)) if others else None,
        )

    return sorted(map(row, names), key=lambda each: -each.rate.median)


def show(title: str, unit: str, rows_: Sequence[Row], rounds: int) -> None:
    """A comparison, to the terminal."""
    heads = ("", f"{unit}/s", "client CPU µs", "server CPU µs", "MiB", "rate: ours/theirs", "CPU: ours/theirs")
    lines = [
        (each.contender, each.rate, each.cpu, each.server_cpu, f"{each.memory:,.0f}", each.rate_ratio, each.cpu_ratio)
        for each in rows_
    ]
    table(f"{title}: median [quartiles] of {rounds} rounds", heads, lines)


def table(title: str, heads: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Any table, to the terminal; None is an empty cell."""
    drawn = Table(*heads, title=Text(title), title_justify="left")
    for line in lines:
        drawn.add_row(
            *(Text("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in line)
        )
    Console(width=None if Console().is_terminal else 160).print(drawn)


def keep(path: Path, results: Mapping[str, Any]) -> None:
    """By benchmark to a file; what it has of other benchmarks stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | dict(results), indent=1, default=asdict) + "\n")


def machine() -> dict[str, Any]:
    """Where and of what this was measured."""
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) // 1024 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True).stdout
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.strip(),
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": f"{platform.python_version()}, {' '.join(platform.python_build())}",
        "memory_mib": memory[0] if memory else None,
        "load": os.getloadavg(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
