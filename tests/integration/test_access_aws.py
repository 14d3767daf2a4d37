"""S3Access on AWS IAM, for which the moto package stands in as a server of its own."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.access import policy_name
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.aws_users import AwsUsers
from support.access import allowed, check, delete, settled
from support.avatars import s3_client
from support.driver import Driver, condition, driving, message, reason
from support.servers import start_moto

ROOT = {names.ACCESS_KEY: "root-of-the-stand-in", names.SECRET_KEY: "nobody-checks-it"}
READING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}],
}
OWNER = "bucketops.dev/owner"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_moto(tmp_path_factory.mktemp("moto"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@dataclass
class Aws:
    """IAM and S3 of one test; rights are enforced from `enforce` on."""

    endpoint: str
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    drivers: list[Any] = field(default_factory=list)

    @property
    def iam(self) -> Any:
        keys = {"aws_access_key_id": ROOT[names.ACCESS_KEY], "aws_secret_access_key": ROOT[names.SECRET_KEY]}
        return boto3.client("iam", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def _tell(self, what: str, text: str = "") -> None:
        headers = {"Content-Type": "text/plain"}
        url = f"{self.endpoint}/moto-api/{what}"
        request = urllib.request.Request(url, data=text.encode(), headers=headers, method="POST")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310 - our own server

    def reset(self) -> None:
        self.enforce(after="inf")
        self._tell("reset")

    def enforce(self, after: str = "0") -> None:
        """From now on the stand-in checks every call against the policies of its caller."""
        self._tell("reset-auth", after)

    def admin(self, spec: dict[str, Any]) -> dict[str, str]:
        """Keys of a user with the documented rights and no others, as far as the stand-in can tell.

        It compares actions alone, and calls s3:ListBucket of HeadBucket by a name of its own.
        """
        statements = [s | {"Resource": ["*"]} for s in access.admin_statements(AccessSpec.model_validate(spec))]
        head = {"Effect": "Allow", "Action": ["s3:HeadBucket"], "Resource": ["*"]}
        document = access.policy(*statements, head)
        self.iam.create_user(UserName="admin")
        self.iam.put_user_policy(UserName="admin", PolicyName="admin", PolicyDocument=json.dumps(document))
        made = self.iam.create_access_key(UserName="admin")["AccessKey"]
        return {names.ACCESS_KEY: made["AccessKeyId"], names.SECRET_KEY: made["SecretAccessKey"]}

    def spec(self, **changes: Any) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "provider": "AWS",
            "admin": {"endpoint": self.endpoint, "credentials": {"secretRef": {"name": "aws-admin"}}},
            "user": "user-a",
            "grants": [{"bucket": "bucket-a", "access": "ReadWrite"}],
            "createBuckets": True,
            "credentialsSecret": {"name": "user-a-s3"},
            "interval": "1h",
        }
        return spec | changes

    def drive(self, spec: dict[str, Any], name: str = "user-a", **given: dict[str, str]) -> Driver:
        existing = {"aws-admin": ROOT} | {key.replace("_", "-"): value for key, value in given.items()}
        context = driving(self.folder / f"run-{len(self.drivers)}", existing, spec, name, kind="S3Access")
        self.drivers.append(context)
        return context.__enter__()


@pytest.fixture
def aws(moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setattr(AwsUsers, "patience", 0.0)
    lab = Aws(moto, tmp_path)
    lab.reset()
    yield lab
    for context in lab.drivers:
        context.__exit__(None, None, None)


def keys(lab: Aws) -> list[str]:
    return [key["AccessKeyId"] for key in lab.iam.list_access_keys(UserName="user-a")["AccessKeyMetadata"]]


def pair(driver: Driver) -> dict[str, str]:
    return dict(driver.local._secrets["user-a-s3"])  # noqa: SLF001 - the Secret as a pod would see it


def test_the_admin_with_the_documented_rights_makes_a_user_that_may_what_is_granted(aws: Aws) -> None:
    spec = aws.spec()
    admin = aws.admin(spec)
    root = s3_client(aws.endpoint, ROOT[names.ACCESS_KEY], ROOT[names.SECRET_KEY])
    root.create_bucket(Bucket="bucket-b")
    aws.enforce()
    driver = aws.drive(spec, aws_admin=admin)
    status = driver.finish()
    assert condition(status, "AccessVerified"), message(status, "Ready")
    assert [(place["bucket"], place["prefix"]) for place in status["access"]] == [
        ("bucket-a", ""), ("bucket-a", ".bucketops/"), ("", ""),
    ]  # fmt: skip
    assert condition(status, "Ready")
    user = s3_client(aws.endpoint, pair(driver)[names.ACCESS_KEY], pair(driver)[names.SECRET_KEY])
    assert allowed(user.put_object, Bucket="bucket-a", Key="x", Body=b"x")
    assert not allowed(user.put_object, Bucket="bucket-b", Key="x", Body=b"x")
    assert not allowed(user.list_objects_v2, Bucket="bucket-b")


def test_a_server_that_refuses_nothing_is_found_by_the_proof(aws: Aws) -> None:
    """The stand-in enforces nothing here: every call is let through, also in a bucket of another tenant."""
    s3_client(aws.endpoint, ROOT[names.ACCESS_KEY], ROOT[names.SECRET_KEY]).create_bucket(Bucket="of-another-tenant")
    driver = aws.drive(aws.spec(grants=[{"bucket": "bucket-a", "access": "ReadOnly"}]))
    status = driver.finish()
    assert reason(status, "AccessVerified") == reason(status, "Ready") == "NotAsGranted"
    assert "bucket-a/: put should be refused: 200; delete should be refused: 204" in message(status, "Ready")
    assert "a bucket without a grant: list should be refused: 200" in message(status, "Ready")
    assert "of-another-tenant" not in json.dumps(driver.seen)


def widened(aws: Aws) -> None:
    document = json.dumps(READING)
    name = policy_name("user-a", "default", "user-a")
    aws.iam.put_user_policy(UserName="user-a", PolicyName=name, PolicyDocument=document)


def removed(aws: Aws) -> None:
    aws.iam.delete_user_policy(UserName="user-a", PolicyName=policy_name("user-a", "default", "user-a"))


def another_policy(aws: Aws) -> None:
    document = json.dumps(READING)
    aws.iam.put_user_policy(UserName="user-a", PolicyName="by-hand", PolicyDocument=document)


def a_managed_policy(aws: Aws) -> None:
    document = json.dumps(READING)
    arn = aws.iam.create_policy(PolicyName="managed", PolicyDocument=document)["Policy"]["Arn"]
    aws.iam.attach_user_policy(UserName="user-a", PolicyArn=arn)


def a_group(aws: Aws) -> None:
    aws.iam.create_group(GroupName="people")
    aws.iam.add_user_to_group(GroupName="people", UserName="user-a")


@pytest.mark.parametrize(
    ("by_hand", "words"),
    [
        (widened, "had another content"),
        (removed, "was not there"),
        (another_policy, "policy by-hand was there"),
        (a_managed_policy, "policy managed was attached"),
        (a_group, "was in group people"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_changed_by_hand_is_repaired(aws: Aws, by_hand: Callable[[Aws], None], words: str) -> None:
    driver = aws.drive(aws.spec())
    status = driver.until(settled_or_wrong)
    by_hand(aws)
    status = check(driver)
    told = [event.message for _, event in driver.local.events if event.reason == "DriftRepaired"]
    assert [words in message for message in told] == [True]
    assert status["repairs"] == 1
    assert aws.iam.list_user_policies(UserName="user-a")["PolicyNames"] == [policy_name("user-a", "default", "user-a")]
    assert aws.iam.list_attached_user_policies(UserName="user-a")["AttachedPolicies"] == []
    assert aws.iam.list_groups_for_user(UserName="user-a")["Groups"] == []


def settled_or_wrong(status: dict[str, Any]) -> bool:
    return bool(status.get("accessKeyId"))


def test_rotation_makes_a_second_key_and_the_first_ends_with_the_overlap(aws: Aws) -> None:
    driver = aws.drive(aws.spec(keyOverlap="1s"))
    driver.until(settled_or_wrong)
    old = pair(driver)
    driver.change(driver.resource.spec | {"rotate": "2026-11"})
    driver.until(lambda status: status.get("rotated") == "2026-11")
    new = pair(driver)
    assert new[names.ACCESS_KEY] != old[names.ACCESS_KEY]
    assert new[names.SECRET_KEY] != old[names.SECRET_KEY]
    assert set(keys(aws)) == {old[names.ACCESS_KEY], new[names.ACCESS_KEY]}
    driver.until(lambda status: [run["phase"] for run in status["runs"]][-2:] == ["check"] * 2 and settled(status))
    assert keys(aws) == [new[names.ACCESS_KEY]]


def test_a_user_that_was_not_made_here_is_not_touched(aws: Aws) -> None:
    aws.iam.create_user(UserName="user-a", Tags=[{"Key": "team", "Value": "web"}])
    driver = aws.drive(aws.spec(deletionPolicy="Delete"))
    status = driver.finish()
    assert reason(status, "Stalled") == "UserExists"
    delete(driver)
    assert aws.iam.get_user(UserName="user-a")["User"]["Tags"] == [{"Key": "team", "Value": "web"}]
    assert keys(aws) == []


def test_a_user_of_another_resource_is_named(aws: Aws) -> None:
    aws.iam.create_user(UserName="user-a", Tags=[{"Key": OWNER, "Value": "S3Access team/other"}])
    status = aws.drive(aws.spec(adopt=True)).finish()
    assert reason(status, "Stalled") == "Claimed"
    assert "S3Access team/other" in message(status, "Stalled")


def test_keys_that_an_adopted_user_had_are_left(aws: Aws) -> None:
    aws.iam.create_user(UserName="user-a")
    theirs = aws.iam.create_access_key(UserName="user-a")["AccessKey"]["AccessKeyId"]
    driver = aws.drive(aws.spec(adopt=True, keyOverlap="1s"))
    driver.until(settled_or_wrong)
    status = check(driver)
    assert set(keys(aws)) == {theirs, pair(driver)[names.ACCESS_KEY]}
    assert (theirs, "foreignKey") in [(s["key"], s["outcome"]) for s in status["samples"]]


def test_a_key_that_a_crash_left_unused_makes_room_for_the_next(aws: Aws) -> None:
    """AWS shows a secret once: what was not put into the Secret is lost, and two keys are the most."""
    driver = aws.drive(aws.spec())
    driver.until(settled_or_wrong)
    lost = aws.iam.create_access_key(UserName="user-a")["AccessKey"]["AccessKeyId"]
    driver.change(driver.resource.spec | {"rotate": "again"})
    driver.until(lambda status: status.get("rotated") == "again")
    assert lost not in keys(aws)
    assert pair(driver)[names.ACCESS_KEY] in keys(aws)


def test_a_secret_with_a_key_of_somebody_else_is_refused(aws: Aws) -> None:
    mark = names.secret_mark("S3Access", "default", "user-a", aws.endpoint)
    given = {names.ACCESS_KEY: "AKIASOMEBODYELSE", names.SECRET_KEY: "not-of-this-user", names.SECRET_GIVEN_KEY: mark}
    status = aws.drive(aws.spec(), user_a_s3=given).finish()
    assert reason(status, "Stalled") == "CredentialsMissing"
    assert "none of user user-a" in message(status, "Stalled")


def test_no_key_is_put_into_a_secret_of_another_system(aws: Aws) -> None:
    status = aws.drive(aws.spec(), user_a_s3={"password": "of a database"}).finish()
    assert reason(status, "Stalled") == "Refused"
    assert names.SECRET_GIVEN_KEY in message(status, "Stalled")
    assert aws.iam.list_users()["Users"] == []


@pytest.mark.parametrize("user", ["admin", "Admin"])
def test_the_admin_itself_is_not_adopted(aws: Aws, user: str) -> None:
    spec = aws.spec(adopt=True, user=user)
    admin = aws.admin(spec)
    if user != "admin":  # the stand-in tells names apart by their case, as AWS does not
        aws.iam.create_user(UserName=user)
    status = aws.drive(spec, aws_admin=admin).finish()
    assert reason(status, "Stalled") == "Refused"
    assert "is the admin itself" in message(status, "Stalled")
    assert aws.iam.list_user_policies(UserName="admin")["PolicyNames"] == ["admin"]
    assert aws.iam.get_user(UserName="admin")["User"].get("Tags", []) == []


def test_deletion_removes_the_user_and_what_hangs_on_it(aws: Aws) -> None:
    driver = aws.drive(aws.spec(deletionPolicy="Delete"))
    driver.until(settled_or_wrong)
    a_managed_policy(aws)
    a_group(aws)
    delete(driver)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        aws.iam.get_user(UserName="user-a")
    assert "user-a-s3" not in driver.local._secrets  # noqa: SLF001


def test_a_policy_that_aws_would_not_take_is_refused_before_anything_is_made(aws: Aws) -> None:
    grants = [{"bucket": f"bucket-{n}", "prefix": f"team-{n}/", "access": "ReadWrite"} for n in range(10)]
    status = aws.drive(aws.spec(grants=grants)).finish()
    assert reason(status, "Stalled") == "PolicyTooLong"
    assert aws.iam.list_users()["Users"] == []
