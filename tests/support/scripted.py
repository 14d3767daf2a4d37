"""A worker that ends as its RunSpec's script says: by shard, the exit code of each attempt; the last one repeats."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bucketops_api import names
from bucketops_api.contract import RunResult

attempts: Counter[tuple[str, int]] = Counter()
"""By run and shard, of this process."""


def work(root: Path, shard: int, stop: threading.Event, watch: Callable[[Any], None]) -> tuple[int, RunResult]:
    """`seconds` is how long an attempt takes; told to stop, it ends with a code that is tried again."""
    watch(Counter())
    run = json.loads((root / names.RUN_FILE).read_text())
    codes = run["spec"]["script"].get(str(shard), [0])
    number = attempts[run["run"], shard]
    attempts[run["run"], shard] += 1
    if stop.wait(run["spec"]["seconds"]):
        return names.EXIT_RETRY, RunResult(message="told to stop")
    time.sleep(0)
    code = codes[min(number, len(codes) - 1)]
    message = "" if code == 0 else f"shard {shard} ends with {code}"
    return code, RunResult(reason="RunFailed" if code else "", message=message, counts={"done": 1, f"shard{shard}": 1})
