"""The scripted worker as a pod: it ends as its RunSpec's script says. Run as `python -c`, so it stands alone."""

import json
import os
import pathlib
import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
run = json.loads(pathlib.Path("/var/run/bucketops/run/run.json").read_text())
shard, failures = os.environ["JOB_COMPLETION_INDEX"], int(os.environ.get("FAILURES") or 0)
codes = run["spec"]["script"].get(shard, [0])
code = codes[min(failures, len(codes) - 1)]
time.sleep(run["spec"]["seconds"])
result = {"counts": {"done": 1, f"shard{shard}": 1}}
if code:
    result |= {"reason": "RunFailed", "message": f"shard {shard} ends with {code}"}
pathlib.Path("/dev/termination-log").write_text(json.dumps(result))
sys.exit(code)
