"""The permissions boundary of a user of AWS.

The stand-in for IAM knows none, so botocore's own model of IAM checks the calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from bucketops_api.privileges.access import document
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.aws_users import AwsUsers
from bucketops_jobs.access.delivery import Delivery

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
USER = {
    "Path": "/", "UserName": "user-a", "UserId": "AIDA1234567890123456", "CreateDate": "2026-01-01T00:00:00Z",
    "Arn": "arn:aws:iam::123456789012:user/user-a", "Tags": [{"Key": "bucketops.dev/owner", "Value": "S3Access ns/a"}],
}  # fmt: skip
NAMED = {"UserName": "user-a"}


@pytest.fixture
def iam() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        yield client, stub


def users(iam: Any, **changes: Any) -> AwsUsers:
    spec: dict[str, Any] = {
        "provider": "AWS", "admin": {}, "user": "user-a", "credentialsSecret": {"name": "s"},
        "grants": [{"bucket": "bucket-a", "access": "ReadOnly"}],
    }  # fmt: skip
    wanted = AccessSpec.model_validate(spec | changes)
    return AwsUsers(iam, wanted, "ns", "a", Delivery("ns", "s", Path()), identities=[])


def settled(stub: Stubber, made: AwsUsers) -> None:
    """Everything but the boundary is as it should be."""
    policy = {**NAMED, "PolicyName": "bucketops-user-a@ns.a"}
    text = json.dumps(document(made._spec))  # noqa: SLF001
    stub.add_response("get_user_policy", policy | {"PolicyDocument": text}, policy)
    stub.add_response("list_user_policies", {"PolicyNames": [policy["PolicyName"]]}, NAMED)
    stub.add_response("list_attached_user_policies", {"AttachedPolicies": []}, NAMED)
    stub.add_response("list_groups_for_user", {"Groups": []}, NAMED)
    made.settle()
    stub.assert_no_pending_responses()


def test_a_user_is_made_within_its_boundary(iam: tuple[Any, Stubber]) -> None:
    """In one call: there is no moment without it."""
    client, stub = iam
    stub.add_client_error("get_user", "NoSuchEntity", http_status_code=404)
    tags = [{"Key": "bucketops.dev/owner", "Value": "S3Access ns/a"}]
    stub.add_response("create_user", {"User": USER}, NAMED | {"Tags": tags, "PermissionsBoundary": BOUNDARY})
    users(client, permissionsBoundary=BOUNDARY).claim()
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("there", ["", "arn:aws:iam::123456789012:policy/wider"])
def test_a_boundary_that_was_taken_away_or_changed_is_set_again(iam: tuple[Any, Stubber], there: str) -> None:
    client, stub = iam
    kind = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": there}
    stub.add_response("get_user", {"User": USER | ({"PermissionsBoundary": kind} if there else {})}, NAMED)
    stub.add_response("put_user_permissions_boundary", {}, NAMED | {"PermissionsBoundary": BOUNDARY})
    made = users(client, permissionsBoundary=BOUNDARY)
    settled(stub, made)
    assert made.changed == [f"the permissions boundary was {there or 'not there'}"]


def test_a_boundary_that_somebody_else_has_set_stays(iam: tuple[Any, Stubber]) -> None:
    client, stub = iam
    kind = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": BOUNDARY}
    stub.add_response("get_user", {"User": USER | {"PermissionsBoundary": kind}}, NAMED)
    made = users(client)
    settled(stub, made)
    assert made.changed == []
