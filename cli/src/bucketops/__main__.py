"""The command line. A subcommand is an entry point of the group `bucketops.commands`: any package may add one."""

from __future__ import annotations

import argparse
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

from bucketops_api import __version__, names

GROUP = "bucketops.commands"
"""An entry point takes argparse's subparsers and adds one, with `set_defaults(run="package.module:function")`.

The function takes what was parsed and answers the exit code. Only then its module is imported, with all that it needs:
an entry point's own module imports nothing but arguments.
"""


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
    given = sys.argv[1:] if arguments is None else list(arguments)
    for found in _points(given[:1]):
        found.load()(commands)
    parsed = parser.parse_args(given)
    run: Callable[[argparse.Namespace], int] = pkgutil.resolve_name(parsed.run)
    return run(parsed)


def _points(named: Sequence[str]) -> Sequence[EntryPoint]:
    """Return the command that is named, or all for help and for a typing error."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return [point for point in points if point.name in named] or points


if __name__ == "__main__":
    sys.exit(main())
