"""A user of AWS IAM: its tags say whose it is, its policy is inline, its keys are made by AWS and put into the Secret.

An inline policy goes with its user, and nobody else can hold it:
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from botocore import exceptions

from bucketops_api.names import GROUP
from bucketops_api.privileges.access import document, oversize, owner_tag, policy_name
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.delivery import Delivery
from bucketops_jobs.access.documents import same_document
from bucketops_jobs.access.keys import Key, Pair
from bucketops_jobs.errors import NotFoundError, UserError
from bucketops_jobs.s3.boto import pages
from bucketops_jobs.s3.failures import translate

T = TypeVar("T")
_OWNER, _FOREIGN, _ROTATED, _RETIRES = (f"{GROUP}/{name}" for name in ("owner", "foreign-keys", "rotated", "retires-"))


class AwsUsers:
    """Users at IAM; `iam` is a boto3 client, `identities` are clients of STS: the admin, and who assumes its role."""

    patience = 90.0

    def __init__(
        self,
        iam: Any,  # noqa: ANN401 - boto3 has no types
        spec: AccessSpec,
        namespace: str,
        name: str,
        delivery: Delivery,
        *,
        identities: Sequence[Any],
    ) -> None:
        self._iam, self._spec, self._delivery, self._identities = iam, spec, delivery, identities
        self._owner = owner_tag(namespace, name)
        self._policy = policy_name(spec.user, namespace, name)
        self.changed: list[str] = []

    def _call(self, what: str, function: Callable[..., T], **arguments: object) -> T:
        """One call about this user; NotFoundError where something does not exist."""
        try:
            return function(UserName=self._spec.user, **arguments)
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            translated = translate(error, f"{what} {self._spec.user}")
            if "AccessDenied" in str(error):
                hint = "`bucketops policy S3Access -f FILE` prints the rights that the admin needs"
                raise UserError(Reason.ACCESS_DENIED, f"{translated}; {hint}") from None
            raise translated from error

    def _found(self) -> dict[str, Any] | None:
        try:
            found: Any = self._call("look at user", self._iam.get_user)
        except NotFoundError:
            return None
        return dict(found["User"])

    def _tags(self) -> dict[str, str] | None:
        found = self._found()
        return None if found is None else {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}

    def _tag(self, key: str, value: str) -> None:
        self._call("tag user", self._iam.tag_user, Tags=[{"Key": key, "Value": value}])

    def claim(self) -> None:
        """The owner's tag is made together with the user, in one call."""
        if wrong := oversize(self._spec):
            raise UserError(Reason.POLICY_TOO_LONG, wrong)
        tags = self._tags()
        if tags is None:
            boundary = self._spec.permissions_boundary
            bounded = {"PermissionsBoundary": boundary} if boundary else {}
            self._call("make user", self._iam.create_user, Tags=[{"Key": _OWNER, "Value": self._owner}], **bounded)
            self.changed.append(f"user {self._spec.user} was made")
        elif _OWNER not in tags:
            self._adopt()
        elif tags[_OWNER] != self._owner:
            raise UserError(
                Reason.CLAIMED,
                f"user {self._spec.user} belongs to {tags[_OWNER]}: choose another user; if that resource is gone for "
                f"good, remove the tag {_OWNER} from the user",
            )

    def _adopt(self) -> None:
        if not self._spec.adopt:
            raise UserError(
                Reason.USER_EXISTS,
                f"user {self._spec.user} exists and was not made by this resource: choose another user, or set "
                "adopt: true to take it over",
            )
        self._refuse_admin()
        self._tag(_FOREIGN, " ".join(key.id for key in self._listed()))
        self._tag(_OWNER, self._owner)
        self.changed.append(f"user {self._spec.user} was taken over")

    def _refuse_admin(self) -> None:
        """Refuse the admin itself, and the user that assumes its role. AWS compares names without their case."""
        for sts in self._identities:
            try:
                arn = str(sts.get_caller_identity()["Arn"])
            except (exceptions.ClientError, exceptions.BotoCoreError) as error:
                raise translate(error, "look whether the user is the admin itself") from error
            if ":user/" in arn and arn.rpartition("/")[2].lower() == self._spec.user.lower():
                raise UserError(
                    Reason.REFUSED,
                    f"user {self._spec.user} is the admin itself, or the one who assumes its role, and would lose its "
                    "rights: choose another user",
                )

    def _bound(self) -> None:
        """A boundary that is not wanted here stays: somebody else has set it, and it only takes away."""
        wanted = self._spec.permissions_boundary
        found = (self._found() or {}).get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
        if wanted and found != wanted:
            put = self._iam.put_user_permissions_boundary
            self._call("bound the rights of", put, PermissionsBoundary=wanted)
            self.changed.append(f"the permissions boundary was {found or 'not there'}")

    def settle(self) -> None:
        """One policy and nothing beside it: no other inline or managed policy, and no group."""
        self._bound()
        wanted = document(self._spec)
        if not same_document(self._inline_policy(), wanted):
            put = self._iam.put_user_policy
            self._call("write the policy of", put, PolicyName=self._policy, PolicyDocument=json.dumps(wanted))
            self.changed.append(f"policy {self._policy} was not there, or had another content")
        for name in self._pages("list_user_policies", "PolicyNames"):
            if name != self._policy:
                self._call("remove a policy of", self._iam.delete_user_policy, PolicyName=name)
                self.changed.append(f"policy {name} was there")
        for policy in self._pages("list_attached_user_policies", "AttachedPolicies"):
            self._call("detach a policy of", self._iam.detach_user_policy, PolicyArn=policy["PolicyArn"])
            self.changed.append(f"policy {policy['PolicyName']} was attached")
        for group in self._pages("list_groups_for_user", "Groups"):
            self._call("leave a group of", self._iam.remove_user_from_group, GroupName=group["GroupName"])
            self.changed.append(f"user {self._spec.user} was in group {group['GroupName']}")

    def _inline_policy(self) -> object:
        try:
            found: Any = self._call("read the policy of", self._iam.get_user_policy, PolicyName=self._policy)
        except NotFoundError:
            return None
        return found["PolicyDocument"]

    def _pages(self, operation: str, field: str) -> Iterator[Any]:
        yield from self._call(operation, partial(pages, self._iam, operation, field))

    def _listed(self) -> list[Key]:
        return [
            Key(key["AccessKeyId"], ours=key["Status"] == "Active")
            for key in self._pages("list_access_keys", "AccessKeyMetadata")
        ]

    def keys(self) -> list[Key]:
        """Those that were there when the user was adopted are not ours."""
        tags = self._tags() or {}
        foreign = set(tags.get(_FOREIGN, "").split())
        return [
            Key(key.id, ours=key.id not in foreign, retires=_moment(tags.get(f"{_RETIRES}{key.id}")))
            for key in self._listed()
        ]

    def ensure_key(self, pair: Pair | None) -> Pair:
        """The Secret's pair if it is this user's; into a Secret without one goes a new key."""
        if pair is None:
            return self._made()
        if pair.id in {key.id for key in self._listed()}:
            return pair
        raise UserError(
            Reason.CREDENTIALS_MISSING,
            f"Secret {self._spec.credentials_secret.name} holds the key {pair.id}, which is none of user "
            f"{self._spec.user}; AWS makes keys itself: delete the Secret, or name another in credentialsSecret",
        )

    def rotate(self, pair: Pair | None) -> Pair:
        """A new key, once per value of `rotate`: a Job that is tried again finds it in the Secret."""
        value = hashlib.sha256(self._spec.rotate.encode()).hexdigest()
        if pair is not None and (self._tags() or {}).get(_ROTATED) == value:
            return pair
        made = self._made()
        self._tag(_ROTATED, value)
        return made

    def _made(self) -> Pair:
        """AWS shows a secret once and allows two keys. One that was never used is what a crash left: it goes."""
        keys = self.keys()
        for key in keys if len(keys) > 1 else ():
            if key.ours and key.retires is None and not self._used(key):
                self.remove_key(key)
                break
        else:
            self._require_room(keys)
        self._delivery.require()
        made: Any = self._call("make a key of", self._iam.create_access_key)["AccessKey"]
        pair = Pair(made["AccessKeyId"], made["SecretAccessKey"])
        self._delivery.put(pair)
        self.changed.append(f"key {pair.id} was made")
        return pair

    def _require_room(self, keys: list[Key]) -> None:
        if len(keys) > 1:
            waits = ", ".join(f"{k.id} (retires {k.retires})" if k.retires else k.id for k in keys)
            raise UserError(
                Reason.REFUSED,
                f"user {self._spec.user} has two keys, {waits}, and AWS allows no third: it goes on by itself when one "
                "has retired; or delete one that nobody uses",
            )

    def _used(self, key: Key) -> bool:
        answer = self._iam.get_access_key_last_used(AccessKeyId=key.id)
        return "LastUsedDate" in answer["AccessKeyLastUsed"]

    def retire(self, key: Key) -> None:
        if key.retires is not None:
            self._tag(f"{_RETIRES}{key.id}", key.retires.isoformat())

    def remove_key(self, key: Key) -> None:
        self._call(f"remove key {key.id} of", self._iam.delete_access_key, AccessKeyId=key.id)
        self._call("untag user", self._iam.untag_user, TagKeys=[f"{_RETIRES}{key.id}"])

    def remove(self) -> bool:
        """What hangs on a user goes before it does."""
        if (self._tags() or {}).get(_OWNER) != self._owner:
            return False
        for key in self._listed():
            self._call(f"remove key {key.id} of", self._iam.delete_access_key, AccessKeyId=key.id)
        for name in self._pages("list_user_policies", "PolicyNames"):
            self._call("remove a policy of", self._iam.delete_user_policy, PolicyName=name)
        for policy in self._pages("list_attached_user_policies", "AttachedPolicies"):
            self._call("detach a policy of", self._iam.detach_user_policy, PolicyArn=policy["PolicyArn"])
        for group in self._pages("list_groups_for_user", "Groups"):
            self._call("leave a group of", self._iam.remove_user_from_group, GroupName=group["GroupName"])
        self._call("remove user", self._iam.delete_user)
        return True


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
