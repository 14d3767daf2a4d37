"""A user of MinIO: its policy's name is the claim, its keys are service accounts.

MinIO has no tags on users, so the policy that we make is what marks a user as ours: it is named after the user and the
resource, stands before the user does, and stays where somebody detaches it. docs/decisions/0004 has the alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minio.error import MinioAdminException

from bucketops_api.names import MANAGER
from bucketops_api.privileges.access import claim, document, oversize, policy_name
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.documents import same_document
from bucketops_jobs.access.keys import Key, Pair, description, password, retirement
from bucketops_jobs.access.minio_admin import AdminClient, call, read
from bucketops_jobs.errors import UserError


class MinioUsers:
    """Users at a MinIO; `works` tells whether the server knows a pair."""

    patience = 10.0

    def __init__(self, admin: AdminClient, spec: AccessSpec, namespace: str, name: str) -> None:
        self._admin, self._spec = admin, spec
        self._owner = f"S3Access {namespace}/{name}"
        self._policy = policy_name(spec.user, namespace, name)
        self.changed: list[str] = []

    @property
    def _user(self) -> str:
        return self._spec.user

    def claim(self) -> None:
        """The claim comes first and the look at others after it: of two that begin at once, one sees the other."""
        if wrong := oversize(self._spec):
            raise UserError(Reason.POLICY_TOO_LONG, wrong)
        self._refuse_admin()
        mine, there = self._claims(), self._info() is not None
        self._refuse_others(mine)
        if there and self._policy not in mine and not self._spec.adopt:
            raise UserError(
                Reason.USER_EXISTS,
                f"user {self._user} exists and was not made by this resource: choose another user, or set adopt: true "
                "to take it over",
            )
        if self._policy not in mine:
            self._write_policy()
            self._refuse_others(self._claims())
            self.changed.append(f"policy {self._policy} was made")
        if not there:
            call(f"make user {self._user}", lambda: self._admin.user_add(self._user, password()))
            self.changed.append(f"user {self._user} was made")

    def _refuse_admin(self) -> None:
        """Refuse the admin itself: its rights would go. The server names an access key's user, its parent."""
        admin = (read("look at the admin", self._admin.account_info) or {}).get("AccountName", "")
        if self._user in {admin, self._admin.key_id}:
            raise UserError(
                Reason.REFUSED,
                f"user {self._user} is the admin of admin.credentials, or the one that its key belongs to, and would "
                "lose its rights: choose another user",
            )

    def _claims(self) -> set[str]:
        policies = read("list the policies", self._admin.policy_list) or {}
        return {name for name in policies if (claim(name) or ("",))[0] == self._user}

    def _refuse_others(self, claims: Iterable[str]) -> None:
        for other in sorted(set(claims) - {self._policy}):
            raise UserError(
                Reason.CLAIMED,
                f"user {self._user} belongs to another S3Access, {other.rpartition('@')[2]}: "
                f"choose another user; if that resource is gone for good, remove the policy {other} from the server",
            )

    def _info(self) -> dict[str, object] | None:
        found: dict[str, object] | None = read(f"look at user {self._user}", lambda: self._admin.user_info(self._user))
        return found

    def settle(self) -> None:
        """One policy and nothing beside it: no other policy, no group, and a user that is enabled."""
        wanted = document(self._spec)
        there = read(f"read policy {self._policy}", lambda: self._admin.policy_info(self._policy))
        if there is None or not same_document(there, wanted):
            self._write_policy()
            self.changed.append(f"policy {self._policy} had another content")
        info = self._info() or {}
        self._settle_attachments(info)
        for group in _texts(info.get("memberOf")):
            self._leave(group)
            self.changed.append(f"user {self._user} was in group {group}")
        if info.get("status") == "disabled":
            call(f"enable user {self._user}", lambda: self._admin.user_enable(self._user))
            self.changed.append(f"user {self._user} was disabled")

    def _leave(self, group: str) -> None:
        """The server takes a list of members; the package's hint says str."""
        members: Any = [self._user]
        call(f"leave group {group}", lambda: self._admin.group_remove(group, members))

    def _settle_attachments(self, info: dict[str, object]) -> None:
        attached = set(filter(None, str(info.get("policyName", "")).split(",")))
        if self._policy not in attached:
            call("attach the policy", lambda: self._admin.attach_policy([self._policy], user=self._user))
            self.changed.append(f"policy {self._policy} was not attached")
        for foreign in sorted(attached - {self._policy}):
            call(f"detach {foreign}", lambda foreign=foreign: self._admin.detach_policy([foreign], user=self._user))  # type: ignore[misc]
            self.changed.append(f"policy {foreign} was attached")

    def _write_policy(self) -> None:
        call("write the policy", lambda: self._admin.policy_add(self._policy, policy=document(self._spec)))

    def keys(self) -> list[Key]:
        """Service accounts of the user; those that we made say so."""
        found = read("list the keys", lambda: self._admin.list_service_account(self._user)) or {}
        return [
            Key(
                account["accessKey"],
                ours=account.get("name") == MANAGER,
                retires=retirement(account.get("description", "")),
            )
            for account in found.get("accounts") or ()
        ]

    def ensure_key(self, pair: Pair | None) -> Pair:
        """The pair as it stands in the Secret; one named like the user is the user's own password."""
        if pair is None:
            name = self._spec.credentials_secret.name
            raise UserError(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: mend it, or delete it to have it "
                "made anew",
            )
        if pair.id in {key.id for key in self.keys()} | {self._user} and self._works(pair):
            return pair
        self._put_key(pair)
        self.changed.append(f"key {pair.id} was not there, or had another secret")
        return pair

    def _put_key(self, pair: Pair) -> None:
        if pair.id == self._user:
            call("set the password", lambda: self._admin.user_add(self._user, pair.secret))
        elif pair.id in {key.id for key in self.keys()}:
            change = self._admin.update_service_account
            call(f"mend key {pair.id}", lambda: change(access_key=pair.id, secret_key=pair.secret))
        else:
            text = description(self._owner)
            call(f"make key {pair.id}", lambda: self._admin.add_key(self._user, pair, MANAGER, text))

    def _works(self, pair: Pair) -> bool:
        """Whether the server knows this key with this secret; what it may do is another question."""
        own = self._admin.as_somebody(pair)
        try:
            own.account_info()
        except MinioAdminException as error:
            return "AccessDenied" in str(error)
        return True

    def rotate(self, pair: Pair | None) -> Pair:
        """The pair that was made for it, beside the one in use."""
        return self.ensure_key(pair)

    def retire(self, key: Key) -> None:
        text = description(self._owner, key.retires)
        change = self._admin.update_service_account
        call(f"retire key {key.id}", lambda: change(access_key=key.id, description=text))

    def remove_key(self, key: Key) -> None:
        call(f"remove key {key.id}", lambda: self._admin.delete_service_account(key.id))

    def remove(self) -> bool:
        """The user first and the claim last, so that a crash in between is taken up again."""
        claims = self._claims()
        if self._policy not in claims:
            return False
        self._refuse_admin()
        if self._info() is not None:
            for key in self.keys():
                self.remove_key(key)
            call("detach the policy", lambda: self._admin.detach_policy([self._policy], user=self._user))
            call(f"remove user {self._user}", lambda: self._admin.user_remove(self._user))
        call("remove the policy", lambda: self._admin.policy_remove(self._policy))
        return True


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
