"""Credentials Secrets: made and deleted, never read. A new pair is remembered until it is in its place.

A restart forgets a staged pair, and the rotation begins anew: no key is in use before it is known to work.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping

from bucketops_api import names
from bucketops_operator.errors import ApiError, refusal
from bucketops_operator.executor import Manifest, Resource, SecretChange
from bucketops_operator.rest import Api, path

Pair = Mapping[str, str]

_ID_LENGTH, _SECRET_LENGTH = 20, 40
_CONFLICT = 409


def new_pair() -> dict[str, str]:
    """A key pair as MinIO takes one: an id of 20, a secret of 40 characters (238 bits)."""
    upper, every = string.ascii_uppercase + string.digits, string.ascii_letters + string.digits
    return {
        names.ACCESS_KEY: "".join(secrets.choice(upper) for _ in range(_ID_LENGTH)),
        names.SECRET_KEY: "".join(secrets.choice(every) for _ in range(_SECRET_LENGTH)),
    }


def owner_mark(owner: Resource) -> dict[str, str]:
    """By it a worker knows a Secret that was made for its resource."""
    return {names.SECRET_OWNER_KEY: f"{owner.kind} {owner.namespace}/{owner.name}"}


class KeySecrets:
    """Secrets in the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._staged: dict[tuple[str, str], Pair] = {}
        self._promoted: dict[str, str] = {}
        """By owner the last staged Secret that was promoted: a repeated call finds it done."""

    def change(self, owner: Resource, change: SecretChange) -> None:
        """Carry out one change; it may be repeated after a crash."""
        match change.action:
            case "Make":
                self._create(owner, change.name, new_pair())
            case "MakeEmpty":
                self._create(owner, change.name, {})
            case "Stage":
                self._stage(owner, change.name)
            case "Promote":
                self._promote(owner, change)
            case "Drop":
                self._delete(owner, change.name)

    def holds(self, owner: Resource, staged: str) -> bool:
        """Whether the pair of a staged Secret is still known."""
        return (owner.uid, staged) in self._staged or self._promoted.get(owner.uid) == staged

    def _stage(self, owner: Resource, name: str) -> None:
        if self.holds(owner, name):
            return
        self._delete(owner, name)
        pair = new_pair()
        self._create(owner, name, pair)
        self._staged[owner.uid, name] = pair

    def _promote(self, owner: Resource, change: SecretChange) -> None:
        """There is no update: a crash in between leaves no Secret, which the next run makes anew."""
        if self._promoted.get(owner.uid) == change.staged:
            return
        pair = self._staged[owner.uid, change.staged]
        self._delete(owner, change.name)
        self._create(owner, change.name, pair)
        self._promoted[owner.uid] = change.staged
        self._delete(owner, change.staged)

    def _create(self, owner: Resource, name: str, pair: Pair) -> None:
        try:
            self._api.call("POST", path("v1", "secrets", owner.namespace), body=_manifest(owner, name, pair))
        except ApiError as error:
            if error.status != _CONFLICT:
                raise refusal(error, f"Secret {name}") from error

    def _delete(self, owner: Resource, name: str) -> None:
        self._api.delete(path("v1", "secrets", owner.namespace, name))
        self._staged.pop((owner.uid, name), None)


def _manifest(owner: Resource, name: str, pair: Pair) -> Manifest:
    """No owner reference: the user outlives the resource unless told otherwise, and so does its key."""
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_KIND: owner.kind,
        names.LABEL_NAME: names.label_value(owner.name),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": owner.namespace, "labels": labels},
        "stringData": {**pair, **owner_mark(owner)},
    }
