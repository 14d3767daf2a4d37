"""The command line. A subcommand is an entry point of the group `bucketops.commands`: any package may add one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import NoReturn

from bucketops_api import __version__, names

GROUP = "bucketops.commands"
"""An entry point takes argparse's subparsers and adds one, with `set_defaults(run=…)` that answers the exit code."""


class _Parser(argparse.ArgumentParser):
    """A mistake in the command is the user's to mend, with the exit code that all commands have for that."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(names.EXIT_USER, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, dispatch, answer the exit code."""
    parser = _Parser(prog="bucketops", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for found in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        found.load()(commands)
    parsed = parser.parse_args(arguments)
    return int(parsed.run(parsed))


if __name__ == "__main__":
    sys.exit(main())
