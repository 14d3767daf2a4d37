"""`python -m bucketops_jobs`: a worker as a process."""

from __future__ import annotations

import gc
import importlib
import sys


def main() -> int:
    """Run one shard of one phase; the exit code.

    What is imported stays, so that to look for garbage in it is a tenth of a start (heap.py goes on from there).
    """
    gc.disable()
    return int(importlib.import_module("bucketops_jobs.worker").main())


if __name__ == "__main__":
    sys.exit(main())
