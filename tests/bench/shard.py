"""The copy phase of one shard, on generated objects and a real PostgreSQL: CPU, memory and requests at two sizes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import measure, report
from support import generated
from support.avatars import cursor_of
from support.servers import dsn_of, start_postgres

SECONDS = 7200.0
MIB = 256
"""A worker's memory with a million rows in one shard, at most."""


def run(most: int) -> list[dict[str, Any]]:
    """`most` objects and a tenth of them, each in a process of its own."""
    rows, cpu = [], []
    with tempfile.TemporaryDirectory(prefix="bucketops-shard-") as folder:
        Path(folder).chmod(0o755)
        server = start_postgres(Path(folder))
        try:
            for amount in (most // 10, most):
                usage, found = _measured(amount, server.port)
                cpu.append(usage.cpu / amount)
                per = amount / 1000
                costs = (f"{found['LIST'] / per:.2f}", f"{found['PUT'] / per:.2f}", f"{found['COPY'] / amount:.2f}")
                rows.append((f"{amount:,}", f"{cpu[-1] * 1e6:,.0f}", f"{usage.memory:,.0f}", *costs))
        finally:
            server.stop()
    heads = ("objects and rows", "CPU µs each", "peak MiB", "LIST per 1,000", "journal PUT per 1,000", "COPY each")
    title = f"one shard; CPU each {cpu[1] / cpu[0]:.2f} times that of a tenth"
    report.table(title, heads, rows)
    return [{"title": title, "heads": heads, "rows": rows}]


def _measured(amount: int, port: int) -> tuple[measure.Usage, dict[str, int]]:
    with cursor_of(dsn_of(port)) as cursor:
        cursor.execute("DROP TABLE IF EXISTS avatars")
        cursor.execute("CREATE TABLE avatars (id serial PRIMARY KEY, path text NOT NULL)")
        cursor.execute(f"INSERT INTO avatars (path) {generated.SQL.format(last=amount - 1)}")
    usage = measure.run([sys.executable, "-m", "bench.shard", str(amount), str(port)], {}, SECONDS)
    return usage, json.loads(usage.output.splitlines()[-1])


def main() -> None:
    """One size, in this process."""
    amount, port = map(int, sys.argv[1:])
    database = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    with tempfile.TemporaryDirectory() as root:
        found, tally = generated.run(amount, database, Path(root))
    if tally.counts["rows/rewritten"] != amount:
        raise SystemExit(f"not all rows were rewritten: {tally.counts}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
