"""Credentials Secrets: made, replaced and deleted by an operator that reads none."""

from __future__ import annotations

from typing import Any

import pytest

from bucketops_api import names
from bucketops_operator.errors import ApiError, StalledError
from bucketops_operator.executor import Resource, SecretChange
from bucketops_operator.key_pairs import new_pair
from bucketops_operator.keysecrets import KeySecrets

OWNER = Resource("S3Access", "team", "app", "uid-1", 1, {})
STAGED = "app-2-rotate-key"
MARK = "S3Access team/app at http://minio:9000"


class FakeApi:
    """Secrets by name, each with its uid; a verb that the operator's role lacks is an error."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.uids: dict[str, str] = {}
        self.owned: set[str] = set()
        self.made = 0
        self.refuses = 0

    def put(self, name: str, data: dict[str, str]) -> str:
        """As somebody does."""
        self.made += 1
        self.secrets[name], self.uids[name] = data, f"uid-{self.made}"
        return self.uids[name]

    def call(self, method: str, path: str, *, body: Any) -> dict[str, Any]:
        assert (method, path) == ("POST", "/api/v1/namespaces/team/secrets")
        name = body["metadata"]["name"]
        if self.refuses:
            raise ApiError(self.refuses, "", "refused")
        if name in self.secrets:
            raise ApiError(409, "AlreadyExists", "exists")
        if "ownerReferences" in body["metadata"]:
            self.owned.add(name)
        return {"metadata": {"uid": self.put(name, body["stringData"])}}

    def delete(self, path: str, uid: str) -> None:
        name = path.rpartition("/")[2]
        if uid and name in self.secrets and self.uids[name] != uid:
            raise ApiError(409, "Conflict", "the UID in the precondition does not match")
        self.secrets.pop(name, None)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def secrets(api: FakeApi) -> KeySecrets:
    return KeySecrets(api)  # type: ignore[arg-type]


def test_one_that_exists_is_left_as_it_is(api: FakeApi, secrets: KeySecrets) -> None:
    api.put("app-s3", {"given": "by somebody"})
    secrets.change(OWNER, SecretChange("Make", "app-s3"))
    assert api.secrets["app-s3"] == {"given": "by somebody"}


def make(secrets: KeySecrets, action: str = "Make") -> str:
    return secrets.change(OWNER, SecretChange(action, "app-s3", mark=MARK))  # type: ignore[arg-type]


def test_one_that_is_made_has_a_pair_and_says_for_whom(api: FakeApi, secrets: KeySecrets) -> None:
    assert make(secrets) == api.uids["app-s3"]
    made = api.secrets["app-s3"]
    assert (len(made[names.ACCESS_KEY]), len(made[names.SECRET_KEY])) == (20, 40)
    assert made[names.SECRET_MADE_KEY] == MARK
    assert api.owned == set(), "a retained user keeps its Secret"


def test_an_empty_one_waits_for_its_job(api: FakeApi, secrets: KeySecrets) -> None:
    make(secrets, "MakeEmpty")
    assert set(api.secrets["app-s3"]) == {names.SECRET_MADE_KEY}


STAGE = SecretChange("Stage", STAGED, mark=MARK)


def test_a_staged_pair_takes_the_place_of_the_former_one(api: FakeApi, secrets: KeySecrets) -> None:
    uid = make(secrets)
    secrets.change(OWNER, STAGE)
    staged = dict(api.secrets[STAGED])
    assert secrets.holds(OWNER, STAGED)
    assert api.owned == {STAGED}, "what a crash leaves of a rotation goes with its resource"
    made = secrets.change(OWNER, SecretChange("Promote", "app-s3", STAGED, uid, MARK))
    assert api.secrets == {"app-s3": staged}
    assert made == api.uids["app-s3"] != uid


def test_staging_and_promotion_may_be_repeated(api: FakeApi, secrets: KeySecrets) -> None:
    uid = make(secrets)
    assert len({secrets.change(OWNER, STAGE) for _ in range(2)}) == 1
    staged = dict(api.secrets[STAGED])
    promote = SecretChange("Promote", "app-s3", STAGED, uid, MARK)
    assert len({secrets.change(OWNER, promote) for _ in range(2)}) == 1
    assert api.secrets == {"app-s3": staged}
    assert secrets.holds(OWNER, STAGED), "so that a repeated call finds it done"


def test_a_restart_forgets_what_was_staged(api: FakeApi, secrets: KeySecrets) -> None:
    uid = secrets.change(OWNER, STAGE)
    restarted = KeySecrets(api)  # type: ignore[arg-type]
    assert not restarted.holds(OWNER, STAGED)
    restarted.change(OWNER, SecretChange("Drop", STAGED, uid=uid))
    assert api.secrets == {}


@pytest.mark.parametrize("uid", ["", "uid-of-ours"])
def test_a_secret_of_somebody_else_is_never_deleted_replaced_or_staged_over(
    api: FakeApi, secrets: KeySecrets, uid: str
) -> None:
    """It came in place of ours, or stood there before, or its name is the one that a rotation would choose."""
    theirs = {"password": "of somebody else"}
    secrets.change(OWNER, STAGE)
    api.put("app-s3", dict(theirs))
    secrets.change(OWNER, SecretChange("Drop", "app-s3", uid=uid))
    with pytest.raises(StalledError, match="Secret app-s3 is not the one that was made"):
        secrets.change(OWNER, SecretChange("Promote", "app-s3", STAGED, uid, MARK))
    assert make(secrets) == ""
    api.put("app-3-rotate-key", dict(theirs))
    assert secrets.change(OWNER, SecretChange("Stage", "app-3-rotate-key", mark=MARK)) == ""
    assert not secrets.holds(OWNER, "app-3-rotate-key")
    secrets.change(OWNER, SecretChange("Drop", "app-3-rotate-key", uid=uid))
    assert api.secrets["app-s3"] == api.secrets["app-3-rotate-key"] == theirs


def test_a_promotion_goes_on_once_the_other_secret_is_deleted(api: FakeApi, secrets: KeySecrets) -> None:
    uid = make(secrets)
    secrets.change(OWNER, STAGE)
    api.put("app-s3", {"password": "of somebody else"})
    promote = SecretChange("Promote", "app-s3", STAGED, uid, MARK)
    with pytest.raises(StalledError):
        secrets.change(OWNER, promote)
    del api.secrets["app-s3"]
    assert secrets.change(OWNER, promote) == api.uids["app-s3"]
    assert set(api.secrets) == {"app-s3"}


def test_a_refusal_says_what_to_do(api: FakeApi, secrets: KeySecrets) -> None:
    api.refuses = 403
    with pytest.raises(StalledError, match="Secret app-s3"):
        secrets.change(OWNER, SecretChange("Make", "app-s3"))


def test_no_two_pairs_are_alike() -> None:
    assert len({new_pair()[names.SECRET_KEY] for _ in range(100)}) == 100
