"""The end of a run for people: what came of it in one sentence, before and after, what failed with a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from bucketops_operator.executor import Resource
from bucketops_operator.run import stopping
from bucketops_operator.run.facts import Facts, facts_of, speed
from bucketops_operator.run.remedies import OTHERWISE, READ_ON, REMEDIES
from bucketops_operator.run.words import Glyphs, duration, number

Status = Mapping[str, Any]
Sample = Mapping[str, str]
EACH = 5
"""Samples that are shown of one outcome."""
_RECORDS_OF = {"S3Migration": "journal and report", "S3Retention": "report", "ExifPipeline": "what was found out"}


@dataclass(frozen=True)
class Ending:
    """How a run has ended."""

    well: bool | None
    """None: it was stopped."""
    sentence: str


def ending(status: Status, *, open_ends: bool, at_once: bool = False) -> Ending:
    """Return how a run has ended, in one sentence."""
    held = {c["type"]: c for c in status.get("conditions", ()) if c["status"] == "True"}
    for type_ in ("Complete", "Failed", "Stalled"):
        if found := held.get(type_):
            return Ending(type_ == "Complete" and not open_ends, f"{found['reason']}: {found['message']}")
    how = "Stopped at once" if at_once else "Stopped at a safe point"
    return Ending(None, f"{how}: {stopping.GO_ON}")


@dataclass(frozen=True)
class Summary:
    """Prints the end of a run."""

    console: Console
    glyphs: Glyphs

    def headline(self, end: Ending) -> None:
        """Print what came of it."""
        sign, style = {
            True: (self.glyphs.done, "green"),
            False: (self.glyphs.failed, "red"),
            None: (self.glyphs.warning, "yellow"),
        }[end.well]
        text = Text(f"{sign} ", style=style, overflow="fold")
        text.append(self.glyphs.plain(end.sentence), style="bold")
        self._print(text)

    def whole(self, resource: Resource, status: Status, end: Ending, seconds: float) -> None:
        """Print what came of it, and everything that a person wants to know then."""
        self.result(resource, status, end, seconds)
        self._where(resource, status, end)

    def result(self, resource: Resource, status: Status, end: Ending, seconds: float) -> None:
        """Print what came of it, and no word about where to go from there."""
        self.headline(end)
        for facts in facts_of(resource, status):
            self._facts(facts)
        self._samples(status.get("samples", ()))
        self._print(Text())
        self._print(self._labelled("took", duration(seconds)))
        if fast := speed(status):
            self._print(self._labelled("copied", fast))

    def _facts(self, facts: Facts) -> None:
        columns = [Column(overflow="fold"), *(Column(h, justify=facts.justify, overflow="fold") for h in facts.heads)]
        table = Table(*columns, box=None, padding=(0, 2, 0, 0), show_header=any(facts.heads), header_style="dim")
        for row in facts.rows:
            table.add_row(*(self._cell(cell) for cell in row))
        self._print(Text())
        self._print(Padding(table, (0, 0, 0, 2), expand=False))

    def _samples(self, samples: Sequence[Sample]) -> None:
        known = list(REMEDIES)
        by_outcome = sorted(samples, key=lambda one: known.index(one["outcome"]) if one["outcome"] in known else -1)
        for outcome, group in groupby(by_outcome, key=lambda one: one["outcome"]):
            self._outcome(outcome, list(group))

    def _outcome(self, outcome: str, some: Sequence[Sample]) -> None:
        """Print what did not end well in one way; what is said of all samples alike is said once."""
        remedy, why = REMEDIES.get(outcome, OTHERWISE), {sample.get("message", "") for sample in some}
        self._print(Text())
        head = Text(self.glyphs.plain(outcome), style="yellow", overflow="fold")
        self._print(head.append(self.glyphs.plain(f": {remedy.meaning}"), style="default"))
        for sample in some[:EACH]:
            message = f": {sample.get('message')}" if len(why) > 1 and sample.get("message") else ""
            self._indented(self._cell(sample["key"]).append(self.glyphs.plain(message), style="dim"))
        if len(some) > EACH:
            self._indented(Text(f"and {number(len(some) - EACH)} more, with -o table", style="dim"))
        if len(why) == 1 and (message := why.pop()):
            self._indented(self._labelled("why", message))
        self._indented(self._labelled("what to do", remedy.what_to_do))

    def _indented(self, text: Text) -> None:
        self._print(Padding(text, (0, 0, 0, 2), expand=False))

    def _where(self, resource: Resource, status: Status, end: Ending) -> None:
        for label, text in _pointers(resource, status, end):
            self._print(self._labelled(label, text))

    def _labelled(self, label: str, text: str) -> Text:
        return Text(f"{label}: ", style="dim", overflow="fold").append(self.glyphs.plain(text), style="default")

    def _cell(self, text: str) -> Text:
        return Text(self.glyphs.plain(text), overflow="fold")

    def _print(self, what: RenderableType) -> None:
        self.console.print(what)


def _pointers(resource: Resource, status: Status, end: Ending) -> Iterator[tuple[str, str]]:
    if records := status.get("report") or status.get("records"):
        yield _RECORDS_OF.get(resource.kind, "records"), records
    if end.well is None:
        yield "go on", "type the same command"
    yield "all fields", "the same command with -o yaml"
    yield "read on", READ_ON[resource.kind]
