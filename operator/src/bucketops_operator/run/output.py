"""The final status as fields, for programs (json, yaml) and for people who want all of them (table)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import yaml
from rich.table import Table
from rich.text import Text

from bucketops_operator.run import terminal

Status = Mapping[str, Any]


def dump(status: Status, form: str, stream: TextIO) -> None:
    """Write all fields of a status, in one of arguments.FORMS."""
    if form == "json":
        stream.write(json.dumps(status, indent=2) + "\n")
    elif form == "yaml":
        stream.write(yaml.safe_dump(dict(status), sort_keys=False))
    else:
        table, plain = Table(box=None, show_header=False), terminal.glyphs_of(stream).plain
        for row in _rows(status):
            table.add_row(*(Text(plain(cell), overflow="fold") for cell in row))
        terminal.console_of(stream).print(table)
    stream.flush()


def _rows(status: Status) -> Iterator[tuple[str, str, str]]:
    for section in ("outcomes", "rowOutcomes", "removal"):
        for name, amount in status.get(section, {}).items():
            yield section, name, str(amount)
    for when, census in status.get("audit", {}).items():
        for name, amount in census.items():
            yield f"audit {when}", name, str(amount)
    if report := status.get("report"):
        yield "report", report, ""
    yield from _access(status)
    for sample in status.get("samples", ()):
        yield sample["outcome"], sample["key"], sample.get("message", "")


def _access(status: Status) -> Iterator[tuple[str, str, str]]:
    for place in status.get("access", ()):
        for call, expected in place["expected"].items():
            yield f"{place['bucket']}/{place.get('prefix', '')}", call, f"{expected.lower()} {place['seen'][call]}"
