"""The end of a run for people: a sentence, before and after, what failed with a remedy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.executor import Resource
from bucketops_operator.run import terminal
from bucketops_operator.run.command import exit_code
from bucketops_operator.run.output import dump
from bucketops_operator.run.remedies import READ_ON, REMEDIES
from bucketops_operator.run.summary import EACH, Summary, ending
from bucketops_operator.run.words import ASCII, UNICODE

ROOT = Path(__file__).parents[3]
SPEC = {"source": {"bucket": "legacy", "prefix": "image/"}, "destination": {"bucket": "production"}, "database": {}}
MIGRATION = Resource("S3Migration", "default", "avatars", "1", 1, SPEC)


def condition(type_: str, reason: str, message: str) -> dict[str, str]:
    return {"type": type_, "status": "True", "reason": reason, "message": message}


def status(**more: Any) -> dict[str, Any]:
    before = {"legacyObjects": 10000, "legacyRows": 10010, "danglingRows": 0, "productionObjects": 500}
    after = {"legacyObjects": 0, "legacyRows": 0, "danglingRows": 0, "productionObjects": 10500}
    return {
        "conditions": [condition("Complete", "Succeeded", "10000 objects moved")],
        "outcomes": {"moved": 10000, "failed": 0},
        "audit": {"before": before, "after": after},
        **more,
    }


def printed(resource: Resource, status: dict[str, Any], *, width: int = 100, plain: bool = False) -> str:
    stream = io.StringIO()
    file: Any = terminal.Ascii(stream) if plain else stream
    console = Console(file=file, width=width, color_system=None, markup=False, emoji=False, highlight=False)
    end = ending(status, open_ends=False)
    Summary(console, ASCII if plain else UNICODE).whole(resource, status, end, 92)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_migration_ends_with_before_and_after() -> None:
    shown = printed(MIGRATION, status())
    assert shown.startswith("✓ Succeeded: 10000 objects moved\n")
    assert "took: 1 min 32 s" in shown
    assert ["objects", "in", "legacy/image/", "10,000", "0"] in rows(shown)
    assert ["objects", "in", "production/", "500", "10,500"] in rows(shown)
    assert ["rows", "with", "a", "legacy", "path", "10,010", "0"] in rows(shown)
    assert "objects moved   " not in shown


def test_a_plan_says_what_would_be() -> None:
    planned = status(phase="Planned", audit={}, outcomes={"moved": 4}, rowOutcomes={"rewritten": 5})
    shown = rows(printed(MIGRATION, planned))
    assert ["objects", "that", "would", "move", "4"] in shown
    assert ["rows", "that", "would", "be", "rewritten", "5"] in shown


def test_what_is_no_terminal_gets_no_blanks_up_to_its_width() -> None:
    shown = printed(MIGRATION, status(samples=[{"key": "k", "outcome": "failed"}]), width=10_000)
    assert max(map(len, shown.splitlines())) < 200


def test_lines_of_a_block_end_where_their_words_end_where_nobody_has_a_terminal() -> None:
    stream = io.StringIO()
    table = Table("short", "x" * 500, box=None)
    table.add_row("a word", "and another")
    terminal.console_of(stream, {}).print(table)
    assert [line for line in stream.getvalue().splitlines() if line != line.rstrip()] == []


def test_what_failed_is_told_once_with_what_to_do() -> None:
    conflicts = [{"key": f"avatar-{n}.png", "outcome": "conflict", "message": "not ours"} for n in range(EACH + 2)]
    failures = [{"key": "a", "outcome": "failed", "message": "no"}, {"key": "b", "outcome": "failed", "message": "nay"}]
    shown = printed(MIGRATION, status(samples=[*conflicts, *failures]))
    assert shown.count("not ours") == 1
    assert "and 2 more, with -o table" in shown
    assert "a: no" in shown
    assert "b: nay" in shown
    for outcome in ("conflict", "failed"):
        assert shown.count(f"what to do: {REMEDIES[outcome].what_to_do[:40]}") == 1


@pytest.mark.parametrize(
    ("type_", "sign", "code"), [("Complete", "✓", 0), ("Failed", "✗", 1), ("Stalled", "✗", 64), ("Suspended", "!", 130)]
)
def test_the_first_line_says_how_it_ended(type_: str, sign: str, code: int) -> None:
    ended = status(conditions=[condition(type_, "TableNotFound", "a sentence")])
    assert printed(MIGRATION, ended).startswith(sign)
    assert exit_code(ended) == code


def test_who_stopped_it_is_told_how_to_go_on() -> None:
    stopped = {"conditions": [condition("Suspended", "Suspended", "spec.suspend is true")]}
    assert "the same command goes on from there" in printed(MIGRATION, stopped)
    at_once = ending(stopped, open_ends=False, at_once=True)
    assert at_once.sentence.startswith("Stopped at once")


PLACE = {
    "bucket": "pictures",
    "prefix": "in/",
    "expected": {"list": "Allowed", "put": "Refused"},
    "seen": {"list": "200", "put": "403"},
    "asExpected": True,
}


@pytest.mark.parametrize(
    ("kind", "found", "words"),
    [
        ("S3Retention", {"progress": {"foldersSeen": 9, "foldersKept": 5, "foldersDeleted": 4}}, "folders deleted 4"),
        (
            "S3Retention",
            {
                "phase": "Planned",
                "progress": {"foldersSeen": 9},
                "removal": {"folders": 4, "objects": 8, "bytes": 2000},
            },
            "folders that would go 4 (8 objects, 2.0 kB)",
        ),
        ("ExifPipeline", {"lastSweep": {"pictures": 7}, "progress": {"processed": 7}}, "clean pictures written 7"),
        ("S3Access", {"access": [PLACE], "accessKeyId": "AK"}, "pictures/in/ list put as granted"),
    ],
)
def test_each_kind_has_what_its_user_wants_to_know(kind: str, found: dict[str, Any], words: str) -> None:
    shown = printed(Resource(kind, "default", "x", "1", 1, {}), status() | {"audit": {}} | found)
    assert words.split() in rows(shown)
    assert READ_ON[kind].split(":")[0] in shown


def test_every_kind_says_where_to_read_on() -> None:
    assert set(READ_ON) == set(KINDS)
    for text in READ_ON.values():
        page, _, headings = text.partition(": ")
        body = (ROOT / page).read_text()
        for heading in headings.split("'")[1::2]:
            assert f"# {heading}\n" in body, (page, heading)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
SAMPLES = st.lists(
    st.fixed_dictionaries({"key": WORDS, "outcome": st.sampled_from([*REMEDIES, "new"]), "message": WORDS})
)


@given(SAMPLES, WORDS, st.integers(40, 160), st.booleans())
def test_no_line_is_longer_than_the_terminal_and_no_sign_plays_tricks(
    samples: list[dict[str, str]], message: str, width: int, plain: bool
) -> None:
    ended = status(samples=samples, conditions=[condition("Failed", "PartiallyFailed", message)])
    shown = printed(MIGRATION, ended, width=width, plain=plain)
    assert all(cell_len(row) <= width for row in shown.split("\n"))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.isascii() or not plain


def test_all_fields_are_there_for_programs() -> None:
    for form in ("json", "yaml"):
        stream = io.StringIO()
        dump(status(), form, stream)
        assert yaml.safe_load(stream.getvalue()) == status()
    stream = io.StringIO()
    dump(status(access=[PLACE], report="r", samples=[{"key": "[red]k", "outcome": "failed"}]), "table", stream)
    assert ["outcomes", "moved", "10000"] in rows(stream.getvalue())
    assert ["failed", "[red]k"] in rows(stream.getvalue())
