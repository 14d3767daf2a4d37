"""How fast bucketops is, against other programs on the same server in the same minutes: see README.md."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report
from bench.contenders import CONTENDERS, OURS
from bench.objects import Copy, Delete
from bench.rounds import Scenario, play
from bench.servers import CREDENTIALS, STARTERS, Place, serving

SCENARIOS: dict[str, Callable[[Place, int], Scenario]] = {"copy": Copy, "delete": Delete}
SERVERS = {"copy": ("gofakes3", "minio", "versitygw"), "delete": ("minio", "versitygw")}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("what", choices=SCENARIOS, help="what is measured")
    parser.add_argument("--server", action="append", choices=STARTERS, help="the default: all that make sense")
    parser.add_argument("--peer", action="append", choices=[name for name in CONTENDERS if name != OURS])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"))
    parser.add_argument(
        "--folder", type=Path, help="where the servers keep their data; the default: a new one in ~/.cache"
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    os.environ.update(CREDENTIALS)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "bucketops", "bench")
    cache.mkdir(parents=True, exist_ok=True)
    folder = arguments.folder or Path(tempfile.mkdtemp(dir=cache))
    os.environ["BENCH_FOLDER"] = str(folder)
    try:
        results = [run(arguments, name, folder / name) for name in arguments.server or SERVERS[arguments.what]]
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    report.keep(arguments.json, results)
    return 0


def run(arguments: argparse.Namespace, name: str, folder: Path) -> dict[str, Any]:
    """One benchmark on one server."""
    contenders = [OURS, *(arguments.peer or [each for each in CONTENDERS if each != OURS])]
    with serving(name, folder) as place:
        scenario = SCENARIOS[arguments.what](place, arguments.objects)
        print(scenario.title, file=sys.stderr)
        samples = play(scenario, contenders, arguments.rounds)
    table = report.rows(samples, scenario.amount)
    report.show(scenario.title, scenario.unit, table, arguments.rounds)
    return {"title": scenario.title, "amount": scenario.amount, "rows": table, "samples": samples}


if __name__ == "__main__":
    sys.exit(main())
