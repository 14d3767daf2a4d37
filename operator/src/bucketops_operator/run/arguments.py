"""The arguments of `bucketops run`, without what it works with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HELP = "run a resource from a file on this machine: the same work as in a cluster, resumable, stopped by Ctrl-C"
EPILOG = """exit codes: 0 complete or planned; 1 failed, wholly or in part, or complete with rows that have no object or
objects that have no row; 64 something must be changed first; 130 stopped by Ctrl-C at a safe point (pressed twice: at
once): the same command goes on from there."""
FORMS = ("json", "yaml", "table")


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `run` to the subcommands."""
    parser = commands.add_parser("run", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument(
        "-f", "--file", type=Path, required=True, help="the resource in YAML; its Secrets may stand beside it"
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=FILE.env",
        help="a Secret, KEY=VALUE per line; one that S3Access makes is written there",
    )
    parser.add_argument(
        "--in-process", action="store_true", help="workers are threads, so that a debugger's breakpoints hold"
    )
    parser.add_argument(
        "-o", "--output", choices=FORMS, help="all fields of the final status on stdout; the rest goes to stderr"
    )
    parser.set_defaults(run="bucketops_operator.run.command:run")
