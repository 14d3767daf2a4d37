"""S3Retention in the cluster: the example, 1,200 mixed deployments, guards, a schedule without an operator."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from bucketops_api.v1alpha1.retention import RetentionSpec
from support.avatars import s3_client
from support.cluster import EXAMPLES, SYSTEM, Cluster, example, wait_for
from support.identities import Identity, retention_user
from support.retention import SECRET, Deployments, Mixed

OPERATOR = "deployment/bucketops"


@dataclass
class Site:
    """A bucket in the cluster's MinIO and the resource that looks after it."""

    cluster: Cluster
    deployments: Deployments
    admin: Identity

    def manifest(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "bucketops.dev/v1alpha1",
            "kind": "S3Retention",
            "metadata": {"name": name},
            "spec": spec,
        }

    def give_access(self, spec: dict[str, Any]) -> None:
        """The Secret that the spec names: of a user with the documented rights and no others."""
        user = retention_user(self.deployments.endpoint, self.admin, RetentionSpec.model_validate(spec))
        self.cluster.create_secret(spec["bucket"]["credentials"]["secretRef"]["name"], user.secret())

    def spec(self, **changes: Any) -> dict[str, Any]:
        inside = {"endpoint": "http://minio.storage.svc:9000"}
        secret = {"credentials": {"secretRef": {"name": f"{SECRET}-{self.deployments.bucket}"}}}
        return self.deployments.spec(place=inside | secret, **changes)

    def apply(self, manifest: dict[str, Any]) -> None:
        self.cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(manifest))

    def patch(self, name: str, **spec: Any) -> None:
        self.cluster.kubectl("patch", "s3ret", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def wait(self, name: str, condition: str, minutes: int = 5) -> dict[str, Any]:
        self.cluster.kubectl("wait", f"--for=condition={condition}", f"--timeout={minutes}m", f"s3retention/{name}")
        return self.cluster.status("s3retention", name)


@pytest.fixture
def site(cluster: Cluster) -> Iterator[Site]:
    secret = cluster.secret("storage", "minio-admin")
    admin = Identity(secret["AWS_ACCESS_KEY_ID"], secret["AWS_SECRET_ACCESS_KEY"])
    host, port = cluster.address("storage", "minio", 9000)
    endpoint = f"http://{host}:{port}"
    made = Deployments(endpoint, f"deployments-{secrets.token_hex(4)}", s3_client(endpoint, admin.name, admin.password))
    yield Site(cluster, made.make(), admin)
    made.remove()


def condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(dict(c) for c in status["conditions"] if c["type"] == type_)


def test_the_example_waits_for_its_schedule_and_a_trigger_runs_it_now(site: Site) -> None:
    """As it stands; only the bucket that it names is made for it."""
    site.deployments.remove()
    site.deployments.bucket = example("s3retention")["spec"]["bucket"]["bucket"]
    site.deployments.remove()
    site.deployments.make()
    for number in range(1, 13):
        site.deployments.deploy(f"deployhash{number}", days=20 + 2 * number)
    site.deployments.deploy("release-1", days=500)
    site.deployments.put("latest.json", body=b'{"live": "deployhash12"}')
    site.give_access(example("s3retention")["spec"])
    site.cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3retention.yaml"))
    waiting = site.wait("web-deployments", "Ready", 1)
    assert (waiting["phase"], condition(waiting, "Ready")["reason"]) == ("Scheduled", "Scheduled")
    cron_job = site.cluster.get("cronjob", "web-deployments-scheduled")["spec"]
    assert (cron_job["schedule"], cron_job["timeZone"]) == ("0 3 * * *", "Europe/Paris")
    assert (cron_job["concurrencyPolicy"], cron_job["suspend"]) == ("Forbid", False)
    site.patch("web-deployments", trigger="now")
    status = site.wait("web-deployments", "Complete", 3)
    left = {f"deployhash{number}" for number in (1, 2, 3, 4, 5, 12)} | {"release-1"}
    assert site.deployments.folders() == left
    assert status["progress"]["foldersDeleted"] == 6
    wait_for(
        "the CronJob goes on", lambda: not site.cluster.get("cronjob", "web-deployments-scheduled")["spec"]["suspend"]
    )
    site.cluster.kubectl("delete", "s3retention", "web-deployments")


def test_of_1200_mixed_deployments_exactly_the_expected_ones_are_left(site: Site) -> None:
    """The first plan is above the guard: nothing goes before somebody has approved it."""
    mixed = Mixed(1200)
    site.deployments.put_all(mixed.objects())
    spec = site.spec(keep={"last": 100}, delete={"olderThan": "200d"}, guards={"maxDeletePercent": 50})
    site.give_access(spec)
    site.apply(site.manifest("mixed", spec))
    refused = site.wait("mixed", "Failed")
    assert condition(refused, "Failed")["reason"] == "GuardExceeded"
    assert f"set spec.approvePlan: {refused['planHash']}" in condition(refused, "Failed")["message"]
    assert site.deployments.keys() == mixed.keys()
    site.patch("mixed", approvePlan=refused["planHash"])
    status = wait_for(
        "it is Complete", lambda: (s := site.cluster.status("s3retention", "mixed"))["phase"] == "Succeeded" and s, 300
    )
    expected = mixed.younger_than(201)
    assert len(expected) == 200
    assert site.deployments.keys() == mixed.keys(expected)
    gone = mixed.keys() - mixed.keys(expected)
    assert status["progress"]["objectsDeleted"] == status["progress"]["bytesFreed"] == len(gone)
    assert status["progress"]["foldersSeen"] == 1200
    report = site.deployments.report(status["report"])
    assert {name for name, line in report.items() if line["verdict"] == "kept"} == expected
    site.cluster.kubectl("delete", "s3retention", "mixed")


def test_the_schedule_goes_on_while_the_operator_is_down(site: Site) -> None:
    for number in range(4):
        site.deployments.deploy(f"d{number}", days=40 + number)
    spec = site.spec(schedule="* * * * *", keep={"last": 1})
    site.give_access(spec)
    site.apply(site.manifest("nightly", spec))
    wait_for("its CronJob", lambda: site.cluster.kubectl("get", "cronjob", "--output=name"))
    site.cluster.kubectl("scale", OPERATOR, "--replicas=0", namespace=SYSTEM)
    try:
        wait_for("the schedule's run", lambda: site.deployments.folders() == {"d0"}, 120)
    finally:
        site.cluster.kubectl("scale", OPERATOR, "--replicas=1", namespace=SYSTEM)
    status = wait_for(
        "the run in the status",
        lambda: (s := site.cluster.status("s3retention", "nightly")).get("scheduled", {}).get("runs") and s,
        120,
    )
    assert status["scheduled"]["runs"][0]["id"].startswith("nightly-scheduled-")
    site.wait("nightly", "Complete", 2)
    site.patch("nightly", schedule=None)
    wait_for("the CronJob is gone", lambda: not site.cluster.kubectl("get", "cronjob", "--output=name"))
    site.cluster.kubectl("delete", "s3retention", "nightly")
