"""Least privileges of S3Access: of the user that it makes, and of the admin who makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from bucketops_api.names import MANAGER, RECORDS_FOLDER
from bucketops_api.privileges import s3
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.s3 import Statement, policy
from bucketops_api.v1alpha1.access import AccessSpec, Call, Grant
from bucketops_api.v1alpha1.common import BucketRef

CALLS: Final[tuple[Call, ...]] = ("list", "get", "put", "delete", "multipart")
"""What is tried as the user, in this order."""
_GRANTED: dict[str, frozenset[Call]] = {
    "ReadOnly": frozenset({"list", "get"}),
    "ReadWrite": frozenset(CALLS),
    "WriteOnly": frozenset({"put", "multipart"}),
}
_UPLOAD = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject")
_ON_OBJECTS = {
    "ReadOnly": ("s3:GetObject",),
    "ReadWrite": ("s3:DeleteObject", "s3:GetObject", *_UPLOAD),
    "WriteOnly": _UPLOAD,
}
_FURTHER_ON_BUCKET = frozenset({"s3:GetBucketVersioning", "s3:ListenBucketNotification"})
NOT_GRANTED: Final = f"not-granted/{RECORDS_FOLDER}"
"""A prefix that nobody is granted by name."""
_POLICY_NAME_MAX = 128
_USER_ACTIONS = (
    "AddUserToGroup", "AttachUserOrGroupPolicy", "CreatePolicy", "CreateServiceAccount", "CreateUser", "DeletePolicy",
    "DeleteUser", "EnableUser", "GetPolicy", "GetUser", "ListServiceAccounts", "ListUserPolicies",
    "RemoveServiceAccount", "UpdateServiceAccount",
)  # fmt: skip
_IAM_ACTIONS = (
    "CreateAccessKey", "CreateUser", "DeleteAccessKey", "DeleteUser", "DeleteUserPolicy", "DetachUserPolicy", "GetUser",
    "GetUserPolicy", "ListAccessKeys", "ListAttachedUserPolicies", "ListGroupsForUser", "ListUserPolicies",
    "ListUserTags", "PutUserPolicy", "TagUser", "UntagUser", "UpdateAccessKey",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where calls are tried; no bucket: one without a grant, which the worker finds."""

    bucket: str | None
    prefix: str
    allowed: frozenset[Call]


def document(spec: AccessSpec) -> dict[str, Any]:
    """The policy of the user: exactly the grants."""
    return policy(*statements(spec))


def statements(spec: AccessSpec) -> tuple[Statement, ...]:
    """Bucket and object statements are apart: an object's action on a bucket's ARN grants nothing, and vice versa."""
    granted = [statement for number, grant in enumerate(spec.grants, 1) for statement in _grant(spec, number, grant)]
    return (*granted, *_records(spec), *_own_keys(spec))


def _grant(spec: AccessSpec, number: int, grant: Grant) -> Iterable[Statement]:
    ref = spec.admin.bucket(grant.bucket)
    if grant.access != "WriteOnly":
        yield s3.listing(f"List{number}", ref, [grant.prefix])
        yield s3.on_bucket(f"Inspect{number}", ref, _on_bucket(grant))
    yield s3.on_keys(f"Objects{number}", ref, [grant.prefix], _ON_OBJECTS[grant.access])
    on_bucket, on_objects = (
        [action for action in grant.also if (action in _FURTHER_ON_BUCKET) is bucket] for bucket in (True, False)
    )
    if on_bucket:
        yield s3.on_bucket(f"Further{number}", ref, on_bucket)
    if on_objects:
        yield s3.on_keys(f"FurtherObjects{number}", ref, [grant.prefix], on_objects)


def _on_bucket(grant: Grant) -> tuple[str, ...]:
    """MinIO cannot narrow ListBucketMultipartUploads to a prefix, so only who has the whole bucket may."""
    whole = grant.access == "ReadWrite" and not grant.prefix
    return ("s3:GetBucketLocation", *(("s3:ListBucketMultipartUploads",) if whole else ()))


def _records(spec: AccessSpec) -> Iterable[Statement]:
    """What lies below `.bucketops/` says what other resources have done: who may write pictures may not say it.

    A grant of further actions is one for a worker, and one below `.bucketops/` means it. The object of the probe lies
    right below that folder, all records lie deeper.
    """
    works = {grant.bucket for grant in spec.grants if grant.also or RECORDS_FOLDER in grant.prefix}
    granted = [grant for grant in spec.grants if grant.bucket not in works]
    buckets = dict.fromkeys(s3.bucket_arn(spec.admin.bucket(grant.bucket)) for grant in granted)
    if buckets:
        yield {
            "Sid": "NoRecords",
            "Effect": "Deny",
            "Action": list(dict.fromkeys(action for grant in granted for action in _ON_OBJECTS[grant.access])),
            "Resource": [f"{arn}/{below}{RECORDS_FOLDER}*/*" for arn in buckets for below in ("", "*/")],
        }


def _own_keys(spec: AccessSpec) -> tuple[Statement, ...]:
    """On MinIO every user may make access keys of its own, unless denied: such a key would outlive a rotation."""
    if spec.provider != "MinIO":
        return ()
    return ({"Sid": "NoOwnKeys", "Effect": "Deny", "Action": ["admin:CreateServiceAccount"]},)


def policy_name(user: str, namespace: str, name: str) -> str:
    """Under this name the policy stands at the provider, and says whose the user is; at most 128 characters."""
    whole = f"{policy_prefix(user)}{namespace}.{name}"
    if len(whole) <= _POLICY_NAME_MAX:
        return whole
    return f"{whole[: _POLICY_NAME_MAX - 17]}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def policy_prefix(user: str) -> str:
    """What the names of all our policies for a user begin with; no Kubernetes name has an @."""
    return f"{MANAGER}-{user}@"


def expected(spec: AccessSpec, bucket: str, key: str) -> frozenset[Call]:
    """Which calls the grants allow at a key, all of them together."""
    fitting = (grant for grant in spec.grants if grant.bucket == bucket and key.startswith(grant.prefix))
    return frozenset(call for grant in fitting for call in _GRANTED[grant.access])


def places(spec: AccessSpec) -> tuple[Place, ...]:
    """Each granted place, a prefix beside it where the grant has one, and a bucket without a grant."""
    found: dict[tuple[str, str], Place] = {}
    for grant in spec.grants:
        for prefix in (grant.prefix, NOT_GRANTED) if grant.prefix else ("",):
            found[grant.bucket, prefix] = Place(grant.bucket, prefix, expected(spec, grant.bucket, prefix))
    return (*found.values(), Place(None, "", frozenset()))


def admin_statements(spec: AccessSpec) -> tuple[Statement, ...]:
    """Of who makes the user. Whoever may write policies can grant itself more: guard this identity as root.

    Names of buckets are listed to find one without a grant. MinIO's own actions know no resources.
    """
    every = BucketRef(bucket="any", region=spec.admin.region)
    buckets = [s3.bucket_arn(spec.admin.bucket(name)) for name in dict.fromkeys(g.bucket for g in spec.grants)]
    look = {"Sid": "Buckets", "Effect": "Allow", "Action": ["s3:ListAllMyBuckets"]}
    make = {"Sid": "CreateBuckets", "Effect": "Allow", "Action": ["s3:CreateBucket"], "Resource": buckets}
    return (
        _users(spec),
        look | {"Resource": [s3.bucket_arn(every).removesuffix("any") + "*" if spec.provider == "MinIO" else "*"]},
        {"Sid": "Exist", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": buckets},
        *((make,) if spec.create_buckets else ()),
    )


def _users(spec: AccessSpec) -> Statement:
    if spec.provider == "MinIO":
        return {"Sid": "Users", "Effect": "Allow", "Action": [f"admin:{action}" for action in _USER_ACTIONS]}
    partition = s3.bucket_arn(BucketRef(bucket="any", region=spec.admin.region)).split(":")[1]
    return {
        "Sid": "User",
        "Effect": "Allow",
        "Action": [f"iam:{action}" for action in (*_IAM_ACTIONS, "RemoveUserFromGroup")],
        "Resource": [f"arn:{partition}:iam::*:user/{spec.user}", f"arn:{partition}:iam::*:group/*"],
    }


def secret_rules(spec: AccessSpec) -> tuple[dict[str, Any], ...]:
    """RBAC of the Job's ServiceAccount: on AWS, which makes keys itself, it puts them into that one Secret."""
    if spec.provider != "AWS":
        return ()
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [spec.credentials_secret.name]}
    return (rule | {"verbs": ["patch"]},)


def parts(spec: AccessSpec, owner: Owner) -> tuple[Part, ...]:
    """What the user gets, and what making it needs."""
    found = (
        Part("user", f"the user {spec.user}, as it is made", "policy", document(spec)),
        Part("admin", "the identity of spec.admin", "policy", policy(*admin_statements(spec))),
        Part("rbac", "the ServiceAccount of the Jobs, which puts the key into the Secret", "rbac", _rbac(spec, owner)),
    )
    return tuple(part for part in found if part.content)


def _rbac(spec: AccessSpec, owner: Owner) -> tuple[dict[str, Any], ...]:
    """Objects to apply; none on MinIO, where the Jobs have no rights in the cluster."""
    rules = secret_rules(spec)
    if not rules:
        return ()
    name = spec.worker.service_account_name or f"{owner.name}-access"
    metadata = {"metadata": {"name": name, "namespace": owner.namespace}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": owner.namespace}
    group = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    return (
        {"apiVersion": "v1", "kind": "ServiceAccount", **metadata},
        {**group, "kind": "Role", **metadata, "rules": list(rules)},
        {**group, "kind": "RoleBinding", **metadata, "roleRef": role, "subjects": [subject]},
    )
