"""`bucketops demo`: what may end it."""

from __future__ import annotations

import argparse
import errno
import os
import sys

from bucketops.demo.ending import ended_by_signals
from bucketops.demo.errors import DemoError

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
_FOREIGN = ("AWS_", "PG", "WEED_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


def run(options: argparse.Namespace) -> int:
    """Play the demo; the exit code."""
    forget_settings()
    try:
        with ended_by_signals() as end:
            from bucketops.demo.story import play  # noqa: PLC0415 - takes a second, in which signals may come

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


def forget_settings() -> None:
    """Remove variables that would lead clients elsewhere: all that is spoken to is on loopback, and known."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.lower() in _PROXIES:
            del os.environ[name]
