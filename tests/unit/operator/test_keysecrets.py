"""Credentials Secrets: made, replaced and deleted by an operator that reads none."""

from __future__ import annotations

from typing import Any

import pytest

from bucketops_api import names
from bucketops_operator.errors import ApiError, StalledError
from bucketops_operator.executor import Resource, SecretChange
from bucketops_operator.keysecrets import KeySecrets, new_pair

OWNER = Resource("S3Access", "team", "app", "uid-1", 1, {})
STAGED = "app-2-rotate-key"


class FakeApi:
    """Secrets by name; a verb that the operator's role lacks is an error."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self.refuses = 0

    def call(self, method: str, path: str, *, body: Any) -> dict[str, Any]:
        assert (method, path) == ("POST", "/api/v1/namespaces/team/secrets")
        name = body["metadata"]["name"]
        self.calls.append(f"create {name}")
        if self.refuses:
            raise ApiError(self.refuses, "", "refused")
        if name in self.secrets:
            raise ApiError(409, "AlreadyExists", "exists")
        assert "ownerReferences" not in body["metadata"], "a retained user keeps its Secret"
        self.secrets[name] = body["stringData"]
        return {}

    def delete(self, path: str) -> None:
        name = path.rpartition("/")[2]
        self.calls.append(f"delete {name}")
        self.secrets.pop(name, None)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def secrets(api: FakeApi) -> KeySecrets:
    return KeySecrets(api)  # type: ignore[arg-type]


def test_one_that_exists_is_left_as_it_is(api: FakeApi, secrets: KeySecrets) -> None:
    api.secrets["app-s3"] = {"given": "by somebody"}
    secrets.change(OWNER, SecretChange("Make", "app-s3"))
    assert api.secrets["app-s3"] == {"given": "by somebody"}


def test_one_that_is_made_has_a_pair_and_says_for_whom(api: FakeApi, secrets: KeySecrets) -> None:
    secrets.change(OWNER, SecretChange("Make", "app-s3"))
    made = api.secrets["app-s3"]
    assert (len(made[names.ACCESS_KEY]), len(made[names.SECRET_KEY])) == (20, 40)
    assert made[names.SECRET_OWNER_KEY] == "S3Access team/app"


def test_an_empty_one_waits_for_its_job(api: FakeApi, secrets: KeySecrets) -> None:
    secrets.change(OWNER, SecretChange("MakeEmpty", "app-s3"))
    assert set(api.secrets["app-s3"]) == {names.SECRET_OWNER_KEY}


def test_a_staged_pair_takes_the_place_of_the_former_one(api: FakeApi, secrets: KeySecrets) -> None:
    secrets.change(OWNER, SecretChange("Make", "app-s3"))
    secrets.change(OWNER, SecretChange("Stage", STAGED))
    staged = dict(api.secrets[STAGED])
    assert secrets.holds(OWNER, STAGED)
    secrets.change(OWNER, SecretChange("Promote", "app-s3", STAGED))
    assert api.secrets == {"app-s3": staged}


def test_staging_and_promotion_may_be_repeated(api: FakeApi, secrets: KeySecrets) -> None:
    for _ in range(2):
        secrets.change(OWNER, SecretChange("Stage", STAGED))
    staged = dict(api.secrets[STAGED])
    for _ in range(2):
        secrets.change(OWNER, SecretChange("Promote", "app-s3", STAGED))
    assert api.secrets == {"app-s3": staged}
    assert secrets.holds(OWNER, STAGED), "so that a repeated call finds it done"


def test_a_restart_forgets_what_was_staged_and_stages_another(api: FakeApi, secrets: KeySecrets) -> None:
    secrets.change(OWNER, SecretChange("Stage", STAGED))
    before = api.secrets[STAGED]
    restarted = KeySecrets(api)  # type: ignore[arg-type]
    assert not restarted.holds(OWNER, STAGED)
    restarted.change(OWNER, SecretChange("Stage", STAGED))
    assert api.secrets[STAGED] != before


def test_a_refusal_says_what_to_do(api: FakeApi, secrets: KeySecrets) -> None:
    api.refuses = 403
    with pytest.raises(StalledError, match="Secret app-s3"):
        secrets.change(OWNER, SecretChange("Make", "app-s3"))


def test_no_two_pairs_are_alike() -> None:
    assert len({new_pair()[names.SECRET_KEY] for _ in range(100)}) == 100
