"""S3Access in the cluster: the examples as they stand, on MinIO, with an admin that has the documented rights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from minio import MinioAdmin
from minio.error import MinioAdminException

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.s3 import policy
from bucketops_api.v1alpha1.access import AccessSpec
from support.access import matrix
from support.avatars import s3_client
from support.cluster import EXAMPLES, SYSTEM, Cluster, wait_for
from support.identities import Identity, admin_client, store_user

A, B = "user-a", "user-b"
NOTHING = dict.fromkeys(("list", "get", "put", "multipart", "delete"), False)
EVERYTHING = dict.fromkeys(NOTHING, True)
READING = NOTHING | {"list": True, "get": True}


@dataclass
class Granted:
    """Both users of the example."""

    cluster: Cluster
    endpoint: str
    root: MinioAdmin
    s3: Any
    secrets: list[str]
    """Every secret key that there has been."""

    def user(self, name: str) -> Any:
        pair = self.cluster.secret(self.cluster.namespace, f"{name}-s3")
        self.secrets.append(pair[names.SECRET_KEY])
        return s3_client(self.endpoint, pair[names.ACCESS_KEY], pair[names.SECRET_KEY])

    def status(self, name: str) -> dict[str, Any]:
        return self.cluster.status("s3access", name)

    def patch(self, name: str, **spec: Any) -> None:
        self.cluster.kubectl("patch", "s3access", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def until(self, name: str, what: str, holds: Any) -> dict[str, Any]:
        """Wait for a status that fits and has no run under way."""

        def fits() -> dict[str, Any] | None:
            status = self.status(name)
            return status if holds(status) and status["runs"][-1]["result"] != "Running" else None

        return dict(wait_for(what, fits, 120))


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text()))


@pytest.fixture(scope="module")
def granted(cluster: Cluster) -> Iterator[Granted]:
    """`kubectl apply` of the example; nothing of an earlier test run is left on the server."""
    host, port = cluster.address("storage", "minio", 9000)
    endpoint, admin = f"http://{host}:{port}", cluster.secret("storage", "minio-admin")
    root = Identity(admin[names.ACCESS_KEY], admin[names.SECRET_KEY])
    made = Granted(cluster, endpoint, admin_client(endpoint, root), s3_client(endpoint, root.name, root.password), [])
    forget(made)
    specs = [AccessSpec.model_validate(manifest["spec"]) for manifest in manifests("s3access")]
    rights = policy(*(statement for spec in specs for statement in access.admin_statements(spec)))
    for number, statement in enumerate(rights["Statement"]):
        statement["Sid"] = f"S{number}"
    cluster.create_secret("minio-admin", store_user(endpoint, root, rights).secret())
    cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3access.yaml"))
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=120s", f"s3access/{A}", f"s3access/{B}")
    yield made
    cluster.kubectl("delete", "s3access", "--all", "--timeout=60s")
    forget(made)


def forget(made: Granted) -> None:
    for user in (A, B):
        try:
            made.root.user_remove(user)
        except MinioAdminException as error:
            assert "NoSuchUser" in str(error)  # noqa: PT017
    for name in json.loads(made.root.policy_list()):
        if (access.claim(name) or ("",))[0] in {A, B}:
            made.root.policy_remove(name)


def test_each_user_may_do_exactly_what_is_granted_on_both_buckets(granted: Granted) -> None:
    a, b = granted.user(A), granted.user(B)
    granted.s3.put_object(Bucket="bucket-b", Key="there", Body=b"x")
    assert matrix(a, "bucket-a") == EVERYTHING
    assert matrix(a, "bucket-b") == NOTHING
    assert matrix(b, "bucket-b") == READING
    assert matrix(b, "bucket-a") == NOTHING


def test_the_quick_start_shows_what_each_may_do(granted: Granted) -> None:
    cluster = granted.cluster
    cluster.kubectl("apply", "--filename", str(EXAMPLES / "s3access-try.yaml"))
    cluster.kubectl("wait", "--for=condition=Complete", "--timeout=120s", "job/try-as-a", "job/try-as-b")
    told = {who: cluster.kubectl("logs", f"job/try-as-{who}") for who in ("a", "b")}
    found = {
        who: {tuple(line.split()[:2]) for line in text.splitlines() if "allowed" in line} for who, text in told.items()
    }
    assert found["a"] == {("bucket-a", call) for call in NOTHING}
    assert found["b"] == {("bucket-b", "list"), ("bucket-b", "get")}
    assert all(len(text.splitlines()) == 10 for text in told.values())


def test_the_proof_and_the_policy_stand_in_the_status(granted: Granted) -> None:
    status = granted.status(B)
    spec = AccessSpec.model_validate(manifests("s3access")[1]["spec"])
    assert json.loads(status["policy"]) == access.document(spec)
    assert status["access"][0]["bucket"] == "bucket-b"
    assert [place["asExpected"] for place in status["access"]] == [True, True, True]
    assert status["access"][0]["expected"]["put"] == "Refused"
    assert status["access"][0]["seen"]["put"] == "403"


def test_a_policy_widened_by_hand_is_noticed_and_repaired(granted: Granted) -> None:
    (name,) = [name for name in json.loads(granted.root.policy_list()) if (access.claim(name) or ("",))[0] == B]
    everything = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}
    granted.root.policy_add(name, policy={"Version": "2012-10-17", "Statement": [everything]})
    assert matrix(granted.user(B), "bucket-a")["put"]
    granted.patch(B, interval="5s")
    status = granted.until(B, "the repair", lambda status: status.get("repairs"))
    granted.patch(B, interval="1h")
    assert status["repairs"] == 1
    assert matrix(granted.user(B), "bucket-a") == NOTHING
    assert matrix(granted.user(B), "bucket-b") == READING
    assert "DriftRepaired" in granted.cluster.kubectl("describe", "s3access", B)


def test_rotation_replaces_the_secret_and_both_keys_work(granted: Granted) -> None:
    old = granted.user(A)
    before = granted.status(A)["accessKeyId"]
    granted.patch(A, rotate="2026-11", keyOverlap="1h")
    status = granted.until(A, "the rotation", lambda status: status.get("retiringKeys"))
    assert status["accessKeyId"] != before
    assert [key["accessKeyId"] for key in status["retiringKeys"]] == [before]
    assert granted.cluster.secret(granted.cluster.namespace, "user-a-s3")[names.ACCESS_KEY] == status["accessKeyId"]
    assert matrix(old, "bucket-a") == matrix(granted.user(A), "bucket-a") == EVERYTHING
    secrets = [item["metadata"]["name"] for item in granted.cluster.get("secrets")["items"]]
    assert not [name for name in secrets if name.endswith("-key")]


def test_a_secret_that_was_deleted_is_made_anew(granted: Granted) -> None:
    before = granted.status(A)["accessKeyId"]
    granted.cluster.kubectl("delete", "secret", "user-a-s3")
    granted.patch(A, trigger=str(time.time()))
    granted.until(A, "a new key", lambda status: status["accessKeyId"] != before)
    assert matrix(granted.user(A), "bucket-a") == EVERYTHING


def test_no_secret_key_stands_anywhere(granted: Granted) -> None:
    cluster = granted.cluster
    told = [cluster.kubectl("logs", pod["metadata"]["name"]) for pod in cluster.get("pods")["items"]]
    assert any('"phase": "grant"' in log for log in told)
    told.append(cluster.kubectl("logs", "deployment/bucketops", "--tail=-1", namespace=SYSTEM))
    told += [json.dumps(cluster.get(kind)) for kind in ("s3accesses", "events", "pods", "configmaps", "jobs")]
    admin = cluster.secret(cluster.namespace, "minio-admin")[names.SECRET_KEY]
    known = {*granted.secrets, admin, cluster.secret(cluster.namespace, "user-b-s3")[names.SECRET_KEY]}
    assert len(known) >= 3
    assert not [value for value in known if any(value in text for text in told)]


def test_a_secret_that_took_the_place_of_ours_is_neither_replaced_nor_deleted(granted: Granted) -> None:
    """Also what the API server makes of a uid as a precondition."""
    cluster = granted.cluster
    pair = {names.ACCESS_KEY: "OFANOTHERSYSTEM", names.SECRET_KEY: "of-another-system-1234"}
    cluster.kubectl("delete", "secret", "user-a-s3")
    cluster.create_secret("user-a-s3", pair)
    granted.patch(A, trigger=str(time.time()))
    status = granted.until(A, "the refusal", lambda status: "given-for" in json.dumps(status["conditions"]))
    assert status["secretUids"]
    assert cluster.secret(cluster.namespace, "user-a-s3") == pair
    cluster.kubectl("delete", "secret", "user-a-s3")
    granted.patch(A, trigger=str(time.time()))
    granted.until(
        A, "a new key", lambda status: any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])
    )
    assert matrix(granted.user(A), "bucket-a") == EVERYTHING


def test_with_the_policy_delete_the_user_goes_with_the_resource(granted: Granted) -> None:
    cluster, user = granted.cluster, granted.user(B)
    granted.patch(B, deletionPolicy="Delete")
    wait_for("the finalizer", lambda: cluster.get("s3access", B)["metadata"].get("finalizers"))
    cluster.kubectl("delete", "s3access", B, "--timeout=100s")
    with pytest.raises(MinioAdminException, match="NoSuchUser"):
        granted.root.user_info(B)
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        user.list_objects_v2(Bucket="bucket-b")
    assert "user-b-s3" not in [item["metadata"]["name"] for item in cluster.get("secrets")["items"]]
    assert granted.s3.head_bucket(Bucket="bucket-b")


WRONG = [
    ("no endpoint", {"admin": {"endpoint": None}}, "MinIO needs admin.endpoint"),
    ("a pattern as a prefix", {"grants": [{"bucket": "bucket-a", "prefix": "a*", "access": "ReadOnly"}]}, "literally"),
    ("no grant", {"grants": []}, "at least 1"),
    ("another user", {"user": "user-c"}, "user and provider cannot change"),
    ("another Secret", {"credentialsSecret": {"name": "payments-db"}}, "credentialsSecret cannot change"),
    ("a boundary", {"permissionsBoundary": "arn:aws:iam::123456789012:policy/x"}, "MinIO knows none"),
]


@pytest.mark.parametrize(("change", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_an_invalid_resource_is_refused_with_words_that_help(
    granted: Granted, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeError, match=words):
        granted.patch(A, **change)
