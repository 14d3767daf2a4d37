"""`make demo`: 10,000 avatars move from the legacy bucket to the production bucket while the database is live."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from typing import Any

from support.avatars import LEGACY, Reader, World, name
from support.cluster import EXAMPLES, SYSTEM, Cluster, avatars_world, example, give_access

NAMESPACE = "demo"
OBJECTS, MODERN = 10_000, 500
TWICE = range(1, 11)
"""Avatars that two rows name."""
BAR = 24


def main() -> int:
    """Seed, apply, watch, tell."""
    began = time.monotonic()
    cluster, manifest = Cluster(NAMESPACE), example("s3migration")
    cluster.remove_namespace()
    cluster.create_namespace()
    world = avatars_world(cluster)
    say(f"seeding {OBJECTS} legacy avatars, {MODERN} modern ones and {OBJECTS + MODERN + len(TWICE)} rows")
    world.seed(range(1, OBJECTS + 1), range(OBJECTS + 1, OBJECTS + MODERN + 1))
    world.insert(LEGACY + name(number) for number in TWICE)
    give_access(cluster, world, manifest)
    say(
        f"kubectl apply --namespace {NAMESPACE} --filename {EXAMPLES.relative_to(EXAMPLES.parents[1])}/s3migration.yaml"
    )
    cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3migration.yaml"))
    with Reader(world, threads=1, pause=0.02) as reader:
        status = watch(cluster)
    code = tell(status, reader, world, time.monotonic() - began)
    tell_costs(cluster, status)
    tell_what_next()
    cluster.close()
    return code


def watch(cluster: Cluster) -> dict[str, Any]:
    """Show the status until the end, a line per change."""
    shown = ""
    while True:
        status = cluster.status("s3migration", "avatars")
        line = describe(status)
        if line != shown:
            print(f"  {time.strftime('%H:%M:%S')}  {line}", flush=True)
            shown = line
        if ended(status):
            return status
        time.sleep(1)


def describe(status: dict[str, Any]) -> str:
    progress = status.get("progress", {})
    percent = progress.get("percent", 0)
    filled = BAR * percent // 100
    rate, eta = progress.get("objectsPerSecond", 0), progress.get("etaSeconds")
    return (
        f"{status.get('phase', 'Pending'):10} {'█' * filled}{'░' * (BAR - filled)} {percent:3} %  "
        f"{progress.get('objectsDone', 0):6} of {progress.get('objectsTotal', 0)} objects, "
        f"{progress.get('rowsUpdated', 0)} rows rewritten, {progress.get('objectsDeleted', 0)} deleted"
        + (f", {rate}/s" if rate else "")
        + (f", {eta} s left" if eta else "")
    )


def ended(status: dict[str, Any]) -> bool:
    wanted = ("Complete", "Failed", "Stalled")
    return any(c["type"] in wanted and c["status"] == "True" for c in status.get("conditions", ()))


def tell(status: dict[str, Any], reader: Reader, world: World, seconds: float) -> int:
    """Before and after, from the audit's fresh listings and scans."""
    audit = status.get("audit", {})
    before, after = audit.get("before", {}), audit.get("after", {})
    print(f"\n  {'':24}{'before':>10}{'after':>10}")
    for field, label in (
        ("legacyObjects", "objects in legacy-s3"),
        ("productionObjects", "objects in production-s3"),
        ("legacyRows", "rows with legacy paths"),
        ("danglingRows", "rows naming nothing"),
    ):
        print(f"  {label:24}{before.get(field, '-'):>10}{after.get(field, '-'):>10}")
    print(f"\n  a reader of the website made {reader.reads} random reads meanwhile, {len(reader.wrong)} of them wrong")
    complete = any(c["type"] == "Complete" and c["status"] == "True" for c in status["conditions"])
    message = next(c["message"] for c in status["conditions"] if c["type"] == "Ready")
    print(f"  {'Complete' if complete else status['phase']}: {message} ({seconds:.0f} s in all)")
    rows = world.sql("SELECT count(*) FROM avatars WHERE path LIKE 'image/%'")[0][0]
    return 0 if complete and not reader.wrong and not rows else 1


def tell_costs(cluster: Cluster, status: dict[str, Any]) -> None:
    """How fast, and with how much memory: the workers log their peak, the kernel knows the operator's."""
    copy = next((run for run in status["runs"] if run["phase"] == "copy"), None)
    if copy is None or "completedAt" not in copy:
        return
    seconds = (datetime.fromisoformat(copy["completedAt"]) - datetime.fromisoformat(copy["startedAt"])).total_seconds()
    logs = cluster.kubectl("logs", "--selector", f"bucketops.dev/run={copy['id']}", "--tail=-1")
    peaks = [int(found) for found in re.findall(r'"peak_memory_mib": (\d+)', logs)]
    read = "print(next(line.split()[1] for line in open('/proc/1/status') if line.startswith('VmHWM')))"
    operator = cluster.kubectl("exec", "deployment/bucketops", "--", "python", "-c", read, namespace=SYSTEM)
    print(
        f"  {status['progress']['objectsDone'] / seconds:.0f} objects a second copied and rewritten by {len(peaks)} "
        f"workers of at most {max(peaks, default=0)} MiB; the operator held {int(operator) // 1024} MiB\n"
    )


def tell_what_next() -> None:
    print("What to type next:")
    print('  eval "$(python3 tests/cluster env)"')
    print(f"  kubectl --namespace {NAMESPACE} describe s3mig avatars")
    print(f"  kubectl --namespace {NAMESPACE} get jobs,pods")
    print("  make test       # everything that CI runs\n  make down       # take the cluster away")


def say(text: str) -> None:
    print(f"• {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
