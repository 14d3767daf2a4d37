"""The arguments of `bucketops strip`, without what it works with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bucketops_jobs.exif.verdict import Choice

HELP = "write clean copies of JPEG files: no metadata, the coded image byte for byte as it was, or turned without loss"
EPILOG = """exit codes: 0 every file is clean; 1 some were refused or could not be read or written, the others are
clean; 64 the command itself must be changed, nothing was written. docs/exif.md: what is removed and kept, and why."""


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `strip` to the subcommands."""
    parser = commands.add_parser("strip", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a JPEG file; it is only read")
    parser.add_argument(
        "-d", "--output-dir", type=Path, required=True, metavar="DIR", help="where each clean file gets its own name"
    )
    _add_choice(
        parser,
        "--orientation",
        [Choice.KEEP, Choice.DROP, Choice.ROTATE],
        "Keep: a fresh EXIF with that tag alone; Rotate: the picture itself is turned, where that is lossless",
    )
    _add_choice(parser, "--icc-profile", [Choice.KEEP, Choice.DROP], "Keep: colours stay as they are")
    _add_choice(
        parser, "--hdr-gain-map", [Choice.DROP, Choice.KEEP], "Keep: Ultra HDR pictures stay so, with fresh metadata"
    )
    parser.add_argument(
        "--max-object-bytes",
        default="512Mi",
        metavar="SIZE",
        help="larger files are refused (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    parser.set_defaults(run="bucketops_jobs.cli.strip:run")


def _add_choice(parser: argparse.ArgumentParser, name: str, choices: list[Choice], text: str) -> None:
    """An option whose default is the first of its choices."""
    told = f"{text} (default {choices[0]})"
    parser.add_argument(name, type=_among(choices), default=choices[0], metavar="|".join(choices), help=told)


def _among(choices: list[Choice]) -> Callable[[str], Choice]:
    def choice(text: str) -> Choice:
        if text.capitalize() not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return Choice(text.capitalize())

    return choice
