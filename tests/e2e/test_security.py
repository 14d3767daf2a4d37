"""What pods and the operator may do in the cluster, as the API server sees it."""

from __future__ import annotations

import json
from typing import Any

from support.cluster import Cluster
from support.evidence import Evidence

SYSTEM = "bucketops-system"


def workers(migrated: Evidence) -> list[dict[str, Any]]:
    found = [pod for name, pod in migrated.watcher.pods.items() if name.startswith("avatars-")]
    assert found
    return found


def test_workers_pass_the_restricted_level(migrated: Evidence, cluster: Cluster) -> None:
    """The namespace enforces it, so that a pod below it would have been refused."""
    labels = cluster.get("namespace", cluster.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert workers(migrated)


def test_workers_are_not_root_and_cannot_write_their_file_system(migrated: Evidence) -> None:
    for pod in workers(migrated):
        container = pod["spec"]["containers"][0]["securityContext"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert container["readOnlyRootFilesystem"] is True
        assert container["allowPrivilegeEscalation"] is False
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_workers_have_no_api_token(migrated: Evidence) -> None:
    for pod in workers(migrated):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not [v for v in pod["spec"]["volumes"] if "projected" in v]


def test_the_operator_makes_and_deletes_secrets_and_reads_and_changes_none(cluster: Cluster) -> None:
    account = f"system:serviceaccount:{SYSTEM}:bucketops"
    for verb in ("get", "list", "watch", "update", "patch", "deletecollection"):
        assert _can(cluster, account, verb) == "no", verb
    assert [_can(cluster, account, verb) for verb in ("create", "delete")] == ["yes", "yes"]


def _can(cluster: Cluster, account: str, verb: str) -> str:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": account, "resourceAttributes": {"verb": verb, "resource": "secrets", "namespace": SYSTEM}},
    }
    answer = cluster.kubectl("create", "--filename", "-", "--output", "json", stdin=json.dumps(review))
    return "yes" if json.loads(answer)["status"]["allowed"] else "no"


def test_the_operator_may_do_its_own_work(cluster: Cluster) -> None:
    """So that the test above asks about the account that is really in use."""
    pods = cluster.get("pods", "--selector", "app.kubernetes.io/name=bucketops", namespace=SYSTEM)["items"]
    accounts = {pod["spec"]["serviceAccountName"] for pod in pods}
    assert accounts == {"bucketops"}


def test_no_secret_stands_in_a_log_a_status_an_event_or_a_result(migrated: Evidence, cluster: Cluster) -> None:
    values = {
        value
        for name, keys in (("avatars-s3", {"AWS_SECRET_ACCESS_KEY"}), ("avatars-db", {"PGPASSWORD"}))
        for key, value in cluster.secret(cluster.namespace, name).items()
        if key in keys
    }
    told = [cluster.kubectl("logs", pod["metadata"]["name"]) for pod in cluster.get("pods")["items"]]
    assert any('"message": "done"' in log for log in told), "the logs are those of the workers, in JSON"
    told.append(cluster.kubectl("logs", "deployment/bucketops", "--tail=-1", namespace=SYSTEM))
    told += [json.dumps(cluster.get(kind)) for kind in ("s3migrations", "events", "pods", "configmaps", "jobs")]
    assert len(values) == 2
    assert migrated.status["phase"] == "Succeeded"
    assert not [value for value in values if any(value in text for text in told)]


LOOK = """
import json, os, stat
found = {"setuid": [], "programs": []}
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    for name in files:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            found["setuid"].append(path)
for folder in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"):
    found["programs"] += os.listdir(folder) if os.path.isdir(folder) else []
print(json.dumps(found))
"""


def test_the_image_has_no_shell_no_package_manager_and_no_setuid_file(cluster: Cluster) -> None:
    told = cluster.kubectl("exec", "deployment/bucketops", "--", "python", "-I", "-c", LOOK, namespace=SYSTEM)
    found = json.loads(told)
    assert found["setuid"] == []
    assert {name for name in found["programs"] if not name.startswith("python")} == {"jpegtran"}
