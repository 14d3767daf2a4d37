"""ExifPipeline in the cluster: the example as it stands with its three users, its try Job, a backfill, scaling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.s3 import policy
from bucketops_api.v1alpha1.access import AccessSpec
from support.avatars import s3_client
from support.cluster import EXAMPLES, Cluster, wait_for
from support.identities import Identity, store_user
from support.pipeline import photo, stripped

BACKFILL = 300


@dataclass
class Site:
    """The example in a cluster, and an administrator of its MinIO."""

    cluster: Cluster
    s3: Any

    def status(self) -> dict[str, Any]:
        return self.cluster.status("exifpipeline", "pictures")

    def patch(self, **spec: Any) -> None:
        self.cluster.kubectl("patch", "exif", "pictures", "--type=merge", "--patch", json.dumps({"spec": spec}))

    def keys(self, bucket: str) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return {key for key in found if not key.startswith(names.RECORDS_FOLDER)}

    def empty(self) -> None:
        for bucket in ("bucket-a", "bucket-b", "bucket-q"):
            try:
                for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                    for row in page.get("Contents", ()):
                        self.s3.delete_object(Bucket=bucket, Key=row["Key"])
            except self.s3.exceptions.NoSuchBucket:
                self.s3.create_bucket(Bucket=bucket)


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    admin = cluster.secret("storage", "minio-admin")
    root = Identity(admin["AWS_ACCESS_KEY_ID"], admin["AWS_SECRET_ACCESS_KEY"])
    host, port = cluster.address("storage", "minio", 9000)
    endpoint = f"http://{host}:{port}"
    site = Site(cluster, s3_client(endpoint, root.name, root.password))
    site.empty()
    for number in range(BACKFILL):
        site.s3.put_object(Bucket="bucket-a", Key=f"old/{number:03}.jpg", Body=photo(str(number)))
    documents = list(yaml.safe_load_all((EXAMPLES / "exifpipeline.yaml").read_text()))
    specs = [AccessSpec.model_validate(d["spec"]) for d in documents if d["kind"] == "S3Access"]
    rights = policy(*(statement for spec in specs for statement in access.admin_statements(spec)))
    cluster.create_secret("minio-admin", store_user(endpoint, root, rights).secret())
    cluster.kubectl("apply", "--filename", str(EXAMPLES / "exifpipeline.yaml"))
    cluster.kubectl("wait", "--for=condition=Ready", "exifpipeline/pictures", "--timeout=5m")
    yield site
    cluster.kubectl("delete", "--filename", str(EXAMPLES / "exifpipeline.yaml"), "--timeout=2m")
    site.empty()


def test_what_was_there_is_done_at_the_start_and_the_status_says_so(site: Site) -> None:
    status = site.status()
    assert site.keys("bucket-b") >= {f"old/{number:03}.jpg" for number in range(BACKFILL)}
    assert (status["phase"], status["listeners"]) == ("Running", {"wanted": 2, "listening": 2})
    assert status["progress"]["processed"] >= BACKFILL
    assert status["lastSweep"]["pictures"] == BACKFILL
    assert status["capabilities"]["conditionalPut"] == "yes"


def test_the_try_job_shows_a_picture_before_and_after(site: Site) -> None:
    site.cluster.kubectl("apply", "--filename", str(EXAMPLES / "exifpipeline-try.yaml"))
    site.cluster.kubectl("wait", "--for=condition=Complete", "job/try-pictures", "--timeout=2m")
    log = site.cluster.kubectl("logs", "job/try-pictures")
    before, after = log.splitlines()[:2]
    assert "GPS 48.8584" in before
    assert "comment" in before
    assert "EXIF" not in after
    assert "comment" not in after


def test_pods_that_are_killed_lose_nothing(site: Site) -> None:
    """One of both is killed while pictures arrive; a sweep that begins by itself does what nobody heard."""
    before = len(site.status()["runs"])
    for number in range(40):
        if number == 10:
            site.cluster.kubectl("delete", "pod", "pictures-events-0", "--grace-period=0", "--force")
        site.s3.put_object(Bucket="bucket-a", Key=f"new/{number:03}.jpg", Body=photo(str(number)))
    wait_for("all are clean", lambda: {f"new/{n:03}.jpg" for n in range(40)} <= site.keys("bucket-b"), 180)
    wait_for("a sweep of what was missed", lambda: len(site.status()["runs"]) > before, 120)
    found = site.s3.get_object(Bucket="bucket-b", Key="new/020.jpg")["Body"].read()
    assert found == stripped(photo("20"))


def test_replicas_may_change_on_the_way(site: Site) -> None:
    site.patch(replicas=1)
    wait_for("one listens", lambda: site.status().get("listeners") == {"wanted": 1, "listening": 1}, 180)
    site.cluster.kubectl("wait", "--for=condition=Ready", "exifpipeline/pictures", "--timeout=3m")
    site.s3.put_object(Bucket="bucket-a", Key="scaled.jpg", Body=photo())
    wait_for("it is clean", lambda: "scaled.jpg" in site.keys("bucket-b"), 60)


def test_loops_are_refused_at_admission(site: Site) -> None:
    loop = {
        "source": {"bucket": "bucket-a"},
        "destination": {"bucket": "bucket-a", "prefix": "x/"},
        "onNotJpeg": "Skip",
    }
    manifest = {
        "apiVersion": "bucketops.dev/v1alpha1",
        "kind": "ExifPipeline",
        "metadata": {"name": "loop"},
        "spec": loop,
    }
    with pytest.raises(RuntimeError, match="would be cleaned again"):
        site.cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(manifest))
