"""Credentials end, and rights are taken away, in mid-run: what can go on goes on, what cannot stops in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from bucketops_api.v1alpha1.migration import MigrationSpec
from support.access import ROOT
from support.driver import Driver, condition
from support.faulty import error
from support.fire import IN_HAND, OBJECTS, PHASES, Fire, burning
from support.identities import Identity, admin_client, migration_user
from support.proxy import Answer, Request

SECRET = "avatars-s3"


@pytest.fixture
def fire(lab: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fire]:
    with burning(lab, monkeypatch) as fire:
        yield fire


class Expired:
    """A rule: what was signed by keys that have expired is answered as AWS does: MinIO's last fifteen minutes."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.told = 0

    def __call__(self, request: Request) -> Answer | None:
        signed = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
        if not any(f"Credential={key}/" in signed for key in self.keys):
            return None
        self.told += 1
        return Answer(400, error("ExpiredToken"))


def session(fire: Fire) -> dict[str, str]:
    """Temporary credentials of the migration's user, by STS."""
    user: Identity = fire.lab.user
    sts = boto3.client(
        "sts",
        endpoint_url=fire.lab.endpoint,
        aws_access_key_id=user.name,
        aws_secret_access_key=user.password,
        region_name="us-east-1",
    )
    given = sts.assume_role(RoleArn="arn:aws:iam::1:role/any", RoleSessionName="any", DurationSeconds=900)[
        "Credentials"
    ]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def same_rights(fire: Fire) -> Identity:
    """Another user with the rights of the migration's."""
    return migration_user(fire.lab.endpoint, ROOT, MigrationSpec.model_validate(fire.spec()))


def revoke(fire: Fire, user: Identity) -> None:
    admin_client(fire.lab.endpoint, ROOT).user_remove(user.name)


def never_stalled(driver: Driver) -> bool:
    return not any(condition(status, "Stalled") for status in driver.seen)


def test_temporary_credentials_that_expire_are_followed_by_those_that_the_secret_holds_now(fire: Fire) -> None:
    """In mid-copy, and again in mid-delete: no worker starts anew, nothing is refused for good."""
    expired = fire.proxy.rule = Expired()
    driver = fire.drive()
    now = session(fire)
    driver.local.rotate(driver.resource, SECRET, now)

    def rotate() -> None:
        nonlocal now
        before, now = now, session(fire)
        driver.local.rotate(driver.resource, SECRET, now)
        expired.keys.add(before["AWS_ACCESS_KEY_ID"])

    for phase in ("copy", "delete"):
        fire.strike(driver, phase, PHASES[phase], rotate)
    fire.finish(driver)
    assert expired.told
    assert never_stalled(driver)
    fire.expect_the_right_end(driver)


def test_a_key_that_is_replaced_and_revoked_at_once_interrupts_nothing(fire: Fire) -> None:
    driver = fire.drive()
    old, new = fire.lab.user, same_rights(fire)

    def replace() -> None:
        driver.local.rotate(driver.resource, SECRET, new.secret())
        revoke(fire, old)

    fire.strike(driver, "copy", PHASES["copy"], replace)
    fire.finish(driver)
    assert never_stalled(driver)
    fire.expect_the_right_end(driver)


def test_a_key_that_is_revoked_before_it_is_replaced_stops_the_run_until_it_is(fire: Fire) -> None:
    driver = fire.drive()
    old, new = fire.lab.user, same_rights(fire)
    fire.strike(driver, "copy", PHASES["copy"], lambda: revoke(fire, old))
    assert "Secret" in fire.hold(driver, "AccessDenied")
    driver.local.rotate(driver.resource, SECRET, new.secret())
    fire.go_on(driver)
    fire.finish(driver)
    fire.expect_the_right_end(driver, again=IN_HAND)


@pytest.mark.parametrize(
    "taken",
    [
        {
            "copy": ("s3:PutObject", "{destination}/avatar/*"),
            "sweep": ("s3:ListBucket", "{destination}"),
            "delete": ("s3:DeleteObject", "{source}/image/*"),
        },
        {"copy": ("s3:PutObject", "{destination}/.bucketops/*")},
        {"copy": ("s3:GetObject", "{source}/image/*")},
    ],
    ids=["copy, list, delete", "journal", "read"],
)
def test_a_right_that_is_taken_away_is_named_and_the_run_goes_on_once_it_is_given_back(
    fire: Fire, taken: dict[str, tuple[str, str]]
) -> None:
    places = {"source": fire.world.source, "destination": fire.world.destination}
    rights = {phase: (action, where.format(**places)) for phase, (action, where) in taken.items()}
    back: list[Callable[[], object]] = []
    driver = fire.drive()
    for phase, right in rights.items():
        fire.strike(driver, phase, PHASES[phase], lambda right=right: back.append(fire.lab.forbid(*right)))
    for action, where in rights.values():
        words = fire.hold(driver, "AccessDenied")
        assert action in words
        assert where.removesuffix("*") in words
        back.pop()()
        fire.go_on(driver)
    fire.finish(driver)
    fire.expect_the_right_end(driver, again=IN_HAND * len(taken))


def test_a_role_that_loses_update_is_told_the_grant_and_goes_on_with_it(fire: Fire) -> None:
    role = fire.lab.database["PGUSER"]
    driver = fire.drive()
    fire.strike(driver, "copy", PHASES["copy"], lambda: fire.world.sql(f"REVOKE UPDATE (path) ON avatars FROM {role}"))
    assert "GRANT UPDATE (path) ON public.avatars" in fire.hold(driver, "AccessDenied")
    assert 0 < len(fire.world.keys(fire.world.destination)) < OBJECTS
    fire.world.sql(f"GRANT UPDATE (path) ON avatars TO {role}")
    fire.go_on(driver)
    fire.finish(driver)
    fire.expect_the_right_end(driver)
