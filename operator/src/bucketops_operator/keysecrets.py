"""Credentials Secrets: made and deleted, never read. A new pair is remembered until it is in its place.

The API server tells the uid of a Secret to whoever creates it. Only what has such a uid is ever deleted, and only with
it as a precondition: a name may be chosen by anybody, and stand for another Secret a moment later. A restart forgets a
staged pair, and the rotation begins anew: no key is in use before it is known to work.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from bucketops_api import names
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_operator.errors import CONFLICT, ApiError, refusal
from bucketops_operator.executor import Manifest, Resource, SecretChange
from bucketops_operator.key_pairs import new_pair, not_ours
from bucketops_operator.rest import Api, path

Pair = Mapping[str, str]

_LOG = logging.getLogger(__name__)


class KeySecrets:
    """Secrets in the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._staged: dict[tuple[str, str], tuple[Pair, str]] = {}
        """By owner and name, the pairs that are staged and the uids of their Secrets."""
        self._promoted: dict[str, tuple[str, str]] = {}
        """By owner the last staged Secret that was promoted, and the uid of what took its place: a repeated call finds
        it done."""

    def change(self, owner: Resource, change: SecretChange) -> str:
        """Carry out one change, which may be repeated after a crash; the uid of a Secret that was made, if one was."""
        match change.action:
            case "Make":
                return self._create(owner, change, new_pair())
            case "MakeEmpty":
                return self._create(owner, change, {})
            case "Stage":
                return self._stage(owner, change)
            case "Promote":
                return self._promote(owner, change)
            case "Drop":
                self._staged.pop((owner.uid, change.name), None)
                self._delete(owner, change.name, change.uid)
                return ""

    def holds(self, owner: Resource, staged: str) -> bool:
        """Whether the pair of a staged Secret is still known."""
        return (owner.uid, staged) in self._staged or self._promoted.get(owner.uid, ("", ""))[0] == staged

    def _stage(self, owner: Resource, change: SecretChange) -> str:
        """A Secret that stands under that name already stays: its pair is not known, and the rotation begins anew."""
        if (owner.uid, change.name) not in self._staged:
            pair = new_pair()
            uid = self._create(owner, change, pair)
            if not uid:
                return ""
            self._staged[owner.uid, change.name] = pair, uid
        return self._staged[owner.uid, change.name][1]

    def _promote(self, owner: Resource, change: SecretChange) -> str:
        """There is no update: a crash in between leaves no Secret, which the next run makes anew."""
        done, uid = self._promoted.get(owner.uid, ("", ""))
        if done == change.staged:
            return uid
        pair, staged = self._staged[owner.uid, change.staged]
        if not change.uid or not self._delete(owner, change.name, change.uid):
            raise not_ours(change.name)
        uid = self._create(owner, change, pair)
        if not uid:
            raise not_ours(change.name)
        self._promoted[owner.uid] = change.staged, uid
        del self._staged[owner.uid, change.staged]
        self._delete(owner, change.staged, staged)
        return uid

    def _create(self, owner: Resource, change: SecretChange, pair: Pair) -> str:
        """Return the new Secret's uid; nothing where one stands under that name, which stays as it is."""
        body = _manifest(owner, change, pair)
        try:
            made = self._api.call("POST", path("v1", "secrets", owner.namespace), body=body)
        except ApiError as error:
            if error.status != CONFLICT:
                raise refusal(error, f"Secret {change.name}") from error
            return ""
        return str(made["metadata"]["uid"])

    def _delete(self, owner: Resource, name: str, uid: str) -> bool:
        """Delete a Secret that was made here; whether it is gone. Another one of that name stays."""
        if not uid:
            _LOG.warning("a secret stays: it is not known to be ours", extra={"secret": name})
            return False
        try:
            self._api.delete(path("v1", "secrets", owner.namespace, name), uid=uid)
        except ApiError as error:
            if error.status != CONFLICT:
                raise refusal(error, f"Secret {name}") from error
            _LOG.warning("a secret stays: it is another one of that name", extra={"secret": name})
            return False
        return True


def _manifest(owner: Resource, change: SecretChange, pair: Pair) -> Manifest:
    """Only a staged Secret has an owner: the user outlives the resource unless told otherwise, and so does its key."""
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_KIND: owner.kind,
        names.LABEL_NAME: names.label_value(owner.name),
    }
    metadata: dict[str, object] = {"name": change.name, "namespace": owner.namespace, "labels": labels}
    if change.action == "Stage":
        reference = {"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        metadata["ownerReferences"] = [reference]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {**pair, names.SECRET_MADE_KEY: change.mark},
    }
