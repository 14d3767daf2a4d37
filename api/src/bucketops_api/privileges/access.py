"""Least privileges of S3Access: of the user that it makes, and of the admin who makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bucketops_api.names import MANAGER, RECORDS_FOLDER, lies_in_records
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
_POLICY_NAME_MAX, _TAG_MAX = 128, 256
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
    hidden: bool = False
    """Its name would tell one tenant of another one's bucket: it stands in the log of the Job alone."""

    @property
    def label(self) -> str:
        """The place for people."""
        return "a bucket without a grant" if self.hidden else f"{self.bucket}/{self.prefix}"


def document(spec: AccessSpec) -> dict[str, Any]:
    """Return the policy of the user: exactly the grants."""
    return policy(*statements(spec))


def oversize(spec: AccessSpec) -> str:
    """Return what is wrong with the policy's size; empty where the provider takes it.

    AWS counts the characters of all inline policies of a user, without white space; MinIO the bytes of the request:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    text = json.dumps(document(spec))
    size, most = (len("".join(text.split())), 2048) if spec.provider == "AWS" else (len(text.encode()), 20 << 10)
    if size <= most:
        return ""
    unit = "characters" if spec.provider == "AWS" else "bytes"
    return (
        f"the policy has {size} {unit} and {spec.provider} takes {most} of a user: grant fewer, wider or shorter "
        "prefixes, or make several users"
    )


def statements(spec: AccessSpec) -> tuple[Statement, ...]:
    """Return the statements of the policy, no two of which say the same: MinIO would drop one and never be as written.

    Bucket and object statements are apart: an object's action on a bucket's ARN grants nothing, and vice versa.
    """
    buckets = list(dict.fromkeys(grant.bucket for grant in spec.grants))
    granted = (
        statement
        for number, bucket in enumerate(buckets, 1)
        for statement in _bucket(spec, number, [grant for grant in spec.grants if grant.bucket == bucket])
    )
    return (*granted, *_no_records(spec, buckets), *_own_keys(spec))


def _bucket(spec: AccessSpec, number: int, grants: Sequence[Grant]) -> Iterable[Statement]:
    """Of one bucket, the statements of all grants together."""
    ref = spec.admin.bucket(grants[0].bucket)
    if readers := [grant for grant in grants if grant.access != "WriteOnly"]:
        yield s3.listing(f"List{number}", ref, _outermost(grant.prefix for grant in readers))
        yield s3.on_bucket(f"Inspect{number}", ref, _on_bucket(grants))
    for access, actions in _ON_OBJECTS.items():
        if prefixes := _outermost(grant.prefix for grant in grants if grant.access == access):
            yield s3.on_keys(f"{access}{number}", ref, prefixes, actions)
    also = sorted({action for grant in grants for action in grant.also})
    if on_bucket := [action for action in also if action in _FURTHER_ON_BUCKET]:
        yield s3.on_bucket(f"Further{number}", ref, on_bucket)
    for action in also:
        if action not in _FURTHER_ON_BUCKET:
            sid = f"{action.partition(':')[2]}{number}"
            yield s3.on_keys(sid, ref, _outermost(grant.prefix for grant in grants if action in grant.also), [action])


def _outermost(prefixes: Iterable[str]) -> list[str]:
    """Return the prefixes that lie below no other one."""
    found: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found


def _on_bucket(grants: Iterable[Grant]) -> tuple[str, ...]:
    """MinIO cannot narrow ListBucketMultipartUploads to a prefix, so only who has the whole bucket may."""
    whole = any(grant.access == "ReadWrite" and not grant.prefix for grant in grants)
    return ("s3:GetBucketLocation", *(("s3:ListBucketMultipartUploads",) if whole else ()))


def _no_records(spec: AccessSpec, buckets: Sequence[str]) -> tuple[Statement, ...]:
    """Deny the records: whoever writes there can make other resources of bucketops believe what never happened."""
    arns = {bucket: s3.bucket_arn(spec.admin.bucket(bucket)) for bucket in buckets}
    folders = [f"{arn}/{pattern}" for bucket, arn in arns.items() for pattern in _closed(spec, bucket)]
    if not any(grant.records for grant in spec.grants):  # in short, for AWS counts: also in buckets without a grant
        folders = [f"{arns[buckets[0]].rpartition(':')[0]}:*/{RECORDS_FOLDER}*"]
    return ({"Sid": "NoRecords", "Effect": "Deny", "Action": ["s3:*"], "Resource": folders},) if folders else ()


def _closed(spec: AccessSpec, bucket: str) -> list[str]:
    """Return patterns of the records of a bucket that no grant opens: all, or those below the grants that open none.

    A Deny wins over every grant, so AccessSpec refuses grants that overlap where only one of them opens its records.
    """
    grants = [grant for grant in spec.grants if grant.bucket == bucket]
    closed = _outermost(grant.prefix for grant in grants if not grant.records)
    prefixes = closed if any(grant.records for grant in grants) else [""]
    return [pattern for prefix in prefixes for pattern in _records_below(prefix)]


def _records_below(prefix: str) -> list[str]:
    """Return patterns of all records whose keys begin with a prefix, which may end within the folder's name."""
    folder = f"/{RECORDS_FOLDER}"
    begun = [length for length in range(1, len(folder) + 1) if f"/{prefix}".endswith(folder[:length])]
    return [f"{prefix}*{folder}*", *(f"{prefix}{folder[length:]}*" for length in begun)]


def _own_keys(spec: AccessSpec) -> tuple[Statement, ...]:
    """On MinIO every user may make access keys of its own, unless denied: such a key would outlive a rotation."""
    if spec.provider != "MinIO":
        return ()
    return ({"Sid": "NoOwnKeys", "Effect": "Deny", "Action": ["admin:CreateServiceAccount"]},)


def policy_name(user: str, namespace: str, name: str) -> str:
    """Under this name the policy stands at the provider, and says whose the user is; at most 128 characters."""
    return shortened(f"{MANAGER}-{user}@{namespace}.{name}", _POLICY_NAME_MAX)


def claim(policy: str) -> tuple[str, str] | None:
    """Return the user and the owner that a policy's name says; None for a policy that is no claim.

    A user's name may have an @, a Kubernetes name has none: the last one is what parts them.
    """
    user, at, owner = policy.removeprefix(f"{MANAGER}-").rpartition("@")
    return (user, owner) if policy.startswith(f"{MANAGER}-") and at and user else None


def owner_tag(namespace: str, name: str) -> str:
    """Return whose a user is, as a tag of AWS says it; at most 256 characters."""
    return shortened(f"S3Access {namespace}/{name}", _TAG_MAX)


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters; a long one ends in its digest, so that no two become one."""
    if len(text) <= most:
        return text
    return f"{text[: most - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def expected(spec: AccessSpec, bucket: str, key: str) -> frozenset[Call]:
    """Return which calls the grants allow at a key, all of them together; without `records`, records can be listed."""
    fitting = (grant for grant in spec.grants if grant.bucket == bucket and key.startswith(grant.prefix))
    return frozenset(
        call
        for grant in fitting
        for call in _GRANTED[grant.access]
        if call == "list" or grant.records or not lies_in_records(key)
    )


def places(spec: AccessSpec) -> tuple[Place, ...]:
    """Each granted place, a prefix beside it (of a whole bucket, its records), and a bucket without a grant."""
    found: dict[tuple[str, str], Place] = {}
    for grant in spec.grants:
        for prefix in (grant.prefix, NOT_GRANTED if grant.prefix else RECORDS_FOLDER):
            found[grant.bucket, prefix] = Place(grant.bucket, prefix, expected(spec, grant.bucket, prefix))
    return (*found.values(), Place(None, "", frozenset(), hidden=spec.probe_bucket is None))


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
    bounds = ("PutUserPermissionsBoundary",) if spec.permissions_boundary else ()
    return {
        "Sid": "User",
        "Effect": "Allow",
        "Action": [f"iam:{action}" for action in (*_IAM_ACTIONS, "RemoveUserFromGroup", *bounds)],
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
