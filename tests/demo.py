"""`make demo ENGINE=kind` (or host): 10,000 avatars move between buckets in Kubernetes while the database is live."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from typing import Any

from bucketops.demo.site import Amounts
from bucketops.demo.telling import Telling
from bucketops_operator.executor import Resource
from bucketops_operator.run.display import Display
from support.avatars import Reader
from support.cluster import EXAMPLES, SYSTEM, Cluster, avatars_world, example, give_access

NAMESPACE = "demo"
AMOUNTS = Amounts(legacy=10_000, modern=500)
NEXT = [
    ('eval "$(python3 tests/cluster env)"', "kubectl and helm for this cluster"),
    (f"kubectl --namespace {NAMESPACE} describe s3mig avatars", "status, conditions and Events"),
    (f"kubectl --namespace {NAMESPACE} get jobs,pods", "its workers"),
    ("make test-cluster", "the tests in this cluster"),
    ("make down", "take the cluster away"),
]


def main() -> int:
    """Seed, apply, watch, tell."""
    telling, cluster, manifest = Telling(), Cluster(NAMESPACE), example("s3migration")
    cluster.remove_namespace()
    cluster.create_namespace()
    world = avatars_world(cluster)
    with telling.seeding(AMOUNTS):
        world.seed(range(1, AMOUNTS.legacy + 1), range(AMOUNTS.legacy + 1, AMOUNTS.legacy + AMOUNTS.modern + 1))
        world.insert(list(AMOUNTS.paths())[-AMOUNTS.twice :])
    give_access(cluster, world, manifest)
    file = EXAMPLES / "s3migration.yaml"
    telling.say(f"\n$ kubectl apply --namespace {NAMESPACE} --filename {file.relative_to(EXAMPLES.parents[1])}")
    cluster.kubectl("apply", "--filename", str(file))
    resource, began = Resource("S3Migration", NAMESPACE, "avatars", "", 1, manifest["spec"]), telling.seconds
    with Reader(world, threads=1, pause=0.02) as reader:
        status = watch(cluster, resource)
    code = telling.end(resource, status, telling.seconds - began, reader)
    tell_costs(telling, cluster, status)
    telling.what_next(NEXT)
    cluster.close()
    rows = world.sql("SELECT count(*) FROM avatars WHERE path LIKE 'image/%'")[0][0]
    return code or int(rows > 0)


def watch(cluster: Cluster, resource: Resource) -> dict[str, Any]:
    """Show the status until the end."""
    with Display(sys.stderr, resource) as display:
        while True:
            status = cluster.status("s3migration", "avatars")
            display.show(status)
            if ended(status):
                return status
            time.sleep(1)


def ended(status: dict[str, Any]) -> bool:
    wanted = ("Complete", "Failed", "Stalled")
    return any(c["type"] in wanted and c["status"] == "True" for c in status.get("conditions", ()))


def tell_costs(telling: Telling, cluster: Cluster, status: dict[str, Any]) -> None:
    """How fast, and with how much memory: the workers log their peak, the kernel knows the operator's."""
    copy = next((run for run in status["runs"] if run["phase"] == "copy"), None)
    if copy is None or "completedAt" not in copy:
        return
    seconds = (datetime.fromisoformat(copy["completedAt"]) - datetime.fromisoformat(copy["startedAt"])).total_seconds()
    logs = cluster.kubectl("logs", "--selector", f"bucketops.dev/run={copy['id']}", "--tail=-1")
    peaks = [int(found) for found in re.findall(r'"peak_memory_mib": (\d+)', logs)]
    read = "print(next(line.split()[1] for line in open('/proc/1/status') if line.startswith('VmHWM')))"
    operator = cluster.kubectl("exec", "deployment/bucketops", "--", "python", "-c", read, namespace=SYSTEM)
    telling.say(
        f"{status['progress']['objectsDone'] / seconds:.0f} objects a second copied and rewritten by {len(peaks)} "
        f"workers of at most {max(peaks, default=0)} MiB; the operator held {int(operator) // 1024} MiB."
        f" All of it took {telling.seconds:.0f} s."
    )


if __name__ == "__main__":
    sys.exit(main())
