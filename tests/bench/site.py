"""The example of ExifPipeline in the cluster under names of its own, and its users; all of it goes afterwards."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.s3 import policy
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.pace import Pace
from bucketops_jobs.s3.client import S3Store
from bucketops_jobs.s3.connect import connect
from support.avatars import s3_client
from support.cluster import EXAMPLES, Cluster, namespace
from support.identities import Identity, admin_client, store_user

IN_FLIGHT = 16
"""Requests at once of each user here."""
_SECRETS = {"a": "pictures-a-s3", "b": "pictures-b-s3"}


@dataclass(frozen=True)
class Site:
    """Buckets and users of one run; the pipeline is not there before `start`."""

    cluster: Cluster
    documents: list[dict[str, Any]]
    buckets: dict[str, str]
    """By the last letter of their names in the example."""
    endpoint: str
    admin: Any
    """An administrator's boto3 client."""
    root: Path

    def start(self) -> None:
        self.cluster.apply(*(each for each in self.documents if each["kind"] == "ExifPipeline"))

    def status(self) -> dict[str, Any]:
        return self.cluster.status("exifpipeline", "pictures")

    def store(self, user: str) -> S3Store:
        """User `a` in its bucket, or user `b`, with the rights that S3Access gave them."""
        secret = _SECRETS[user]
        folder = self.root / names.SECRETS_DIR / secret
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in self.cluster.secret(self.cluster.namespace, secret).items():
            (folder / key).write_text(value)
        ref = {"bucket": self.buckets[user], "endpoint": self.endpoint, "credentials": {"secretRef": {"name": secret}}}
        return connect(BucketRef.model_validate(ref), self.root, Pace(IN_FLIGHT, None, threading.Event()))

    def keys(self, bucket: str) -> dict[str, str]:
        """ETags by key, without records."""
        pages = self.admin.get_paginator("list_objects_v2").paginate(Bucket=self.buckets[bucket])
        found = {row["Key"]: row["ETag"].strip('"') for page in pages for row in page.get("Contents", ())}
        return {key: etag for key, etag in found.items() if not key.startswith(names.RECORDS_FOLDER)}

    def memory(self) -> dict[str, float]:
        """Peak resident memory in MiB of the pods that hear events, since they began."""
        peaks = {}
        for pod in self.cluster.get("pods", "--selector", f"{names.LABEL_PHASE}=listen")["items"]:
            name = pod["metadata"]["name"]
            text = self.cluster.kubectl("exec", name, "--", "python", "-c", "print(open('/proc/1/status').read())")
            peaks[name] = int(text.split("VmHWM:")[1].split()[0]) / 1024
        return peaks


@contextmanager
def pipeline_site() -> Iterator[Site]:
    """Buckets and users, made by the operator as anybody's are."""
    with namespace("bench") as cluster, tempfile.TemporaryDirectory(prefix="bucketops-pipeline-") as folder:
        name = cluster.namespace
        text = (EXAMPLES / "exifpipeline.yaml").read_text().replace("user: pictures", f"user: {name}")
        buckets = {letter: f"{name}-{letter}" for letter in "abq"}
        for letter, bucket in buckets.items():
            text = text.replace(f"bucket-{letter}", bucket)
        documents = list(yaml.safe_load_all(text))
        credentials = cluster.secret("storage", "minio-admin")
        root = Identity(credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"])
        host, port = cluster.address("storage", "minio", 9000)
        endpoint = f"http://{host}:{port}"
        site = Site(cluster, documents, buckets, endpoint, s3_client(endpoint, root.name, root.password), Path(folder))
        with _administrator(endpoint, root, documents) as administrator:
            cluster.create_secret("minio-admin", administrator.secret())
            try:
                cluster.apply(*(each for each in documents if each["kind"] == "S3Access"))
                cluster.kubectl("wait", "--for=condition=Ready", "s3access", "--all", "--timeout=2m")
                yield site
            finally:
                _remove(site)


@contextmanager
def _administrator(endpoint: str, root: Identity, documents: list[dict[str, Any]]) -> Iterator[Identity]:
    """Who may make the example's users, and nothing else."""
    specs = [AccessSpec.model_validate(each["spec"]) for each in documents if each["kind"] == "S3Access"]
    rights = policy(*(statement for spec in specs for statement in access.admin_statements(spec)))
    user = store_user(endpoint, root, rights)
    try:
        yield user
    finally:
        client = admin_client(endpoint, root)
        client.user_remove(user.name)
        client.policy_remove(f"policy-{user.name}")


def _remove(site: Site) -> None:
    """The pipeline before its users, these before whoever may remove them; buckets at last."""
    for kind in ("exifpipeline", "s3access"):
        site.cluster.kubectl("delete", kind, "--all", "--timeout=2m")
    site.cluster.kubectl("delete", "secret", "minio-admin")
    for bucket in site.buckets.values():
        try:
            for page in site.admin.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                found = [{"Key": row["Key"]} for row in page.get("Contents", ())]
                if found:
                    site.admin.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
            site.admin.delete_bucket(Bucket=bucket)
        except site.admin.exceptions.NoSuchBucket:
            continue
