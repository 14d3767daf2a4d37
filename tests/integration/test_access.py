"""S3Access on a real MinIO: who is granted what, may do that and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from minio.error import MinioAdminException

from bucketops_api import names
from bucketops_api.privileges import access
from bucketops_api.privileges.access import policy_name
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.documents import same_document
from support.access import AccessLab, allowed, check, delete, matrix, settled
from support.avatars import s3_client
from support.driver import condition, message, reason
from support.identities import Identity, admin_client

EVERYTHING = {"list", "get", "put", "multipart", "delete"}


def passes(s3: Any, bucket: str, prefix: str = "") -> set[str]:
    return {call for call, through in matrix(s3, bucket, prefix).items() if through}


def test_users_a_and_b_may_do_what_is_granted_and_nothing_else(access_lab: AccessLab) -> None:
    lab = access_lab
    first = lab.drive(lab.spec(lab.grant("bucket-a")))
    second = lab.drive(lab.spec(lab.grant("bucket-b", "ReadOnly"), user="user-b"), name="user-b")
    for driver in (first, second):
        status = driver.finish()
        assert condition(status, "Ready"), status
        assert condition(status, "AccessVerified")
    a, b = lab.user(first), lab.user(second)
    lab.s3.put_object(Bucket=lab.name("bucket-b"), Key="there", Body=b"x")
    assert passes(a, lab.name("bucket-a")) == EVERYTHING
    assert passes(a, lab.name("bucket-b")) == set()
    assert passes(b, lab.name("bucket-b")) == {"list", "get"}
    assert passes(b, lab.name("bucket-a")) == set()


def test_grants_end_at_their_prefixes(access_lab: AccessLab) -> None:
    lab, bucket = access_lab, access_lab.name("bucket-a")
    grants = (lab.grant("bucket-a", "ReadWrite", "in/"), lab.grant("bucket-a", "WriteOnly", "drop/"))
    driver = lab.drive(lab.spec(*grants))
    assert condition(driver.finish(), "Ready")
    user = lab.user(driver)
    lab.s3.put_object(Bucket=bucket, Key="drop/there", Body=b"x")
    assert passes(user, bucket, "in/") == EVERYTHING
    assert passes(user, bucket, "drop/") == {"put", "multipart"}
    assert passes(user, bucket, "else/") == passes(user, bucket) == set()


def test_further_actions_are_granted_below_the_prefix_and_to_nobody_else(access_lab: AccessLab) -> None:
    """What ExifPipeline's user needs beside reading: tags of the objects, versioning of the bucket."""
    lab = access_lab
    further = ["s3:GetObjectTagging", "s3:GetBucketVersioning"]
    given = lab.spec(lab.grant("bucket-a", "ReadOnly", "in/") | {"also": further})
    plain = lab.spec(lab.grant("bucket-a", "ReadOnly", "in/"), user="user-b")
    drivers = lab.drive(given), lab.drive(plain, "user-b")
    for driver in drivers:
        assert condition(driver.finish(), "Ready")
    bucket = lab.name("bucket-a")
    for key in ("in/x", "out/x"):
        lab.s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="a=b")
    with_more, without = map(lab.user, drivers)

    def may(s3: Any, key: str) -> list[bool]:
        tags = {"Bucket": bucket, "Key": key}
        written = allowed(s3.put_object_tagging, **tags, Tagging={"TagSet": [{"Key": "a", "Value": "c"}]})
        return [allowed(s3.get_object_tagging, **tags), allowed(s3.get_bucket_versioning, Bucket=bucket), written]

    assert may(with_more, "in/x") == [True, True, False]
    assert may(with_more, "out/x") == [False, True, False]
    assert may(without, "in/x") == [False, False, False]


def test_the_report_has_each_expected_answer_and_the_one_seen(access_lab: AccessLab) -> None:
    lab = access_lab
    lab.s3.create_bucket(Bucket=f"a-other-{lab.token}")
    grant = lab.grant("bucket-a", "ReadOnly", "in/")
    status = lab.drive(lab.spec(grant, probeBucket=f"a-other-{lab.token}")).finish()
    granted, beside, other = status["access"]
    assert (granted["bucket"], granted["prefix"]) == (lab.name("bucket-a"), "in/")
    assert granted["expected"] == {
        "list": "Allowed", "get": "Allowed", "put": "Refused", "delete": "Refused", "multipart": "Refused",
    }  # fmt: skip
    assert granted["seen"] == {"list": "200", "get": "404", "put": "403", "delete": "403", "multipart": "403"}
    assert (beside["bucket"], other["bucket"]) == (lab.name("bucket-a"), f"a-other-{lab.token}")
    for place in (beside, other):
        assert set(place["expected"].values()) == {"Refused"}
        assert set(place["seen"].values()) == {"403"}
        assert place["asExpected"]


def test_the_policy_in_status_is_the_one_in_force_and_the_one_that_is_documented(access_lab: AccessLab) -> None:
    spec = access_lab.spec()
    status = access_lab.drive(spec).finish()
    name = policy_name(spec["user"], "default", "user-a")
    assert json.loads(status["policy"]) == access.document(AccessSpec.model_validate(spec))
    assert same_document(json.loads(status["policy"]), json.loads(access_lab.root.policy_info(name)))
    assert access_lab.info(spec)["policyName"] == name


def test_a_check_that_finds_nothing_changes_nothing(access_lab: AccessLab) -> None:
    driver = access_lab.drive(access_lab.spec())
    driver.finish()
    told = len(driver.local.events)
    status = check(driver)
    assert [run["phase"] for run in status["runs"]] == ["grant", "check"]
    assert (status["runs"][-1]["changed"], status["repairs"]) == (0, 0)
    assert len(driver.local.events) == told


def widened(lab: AccessLab, user: str) -> None:
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": ["arn:aws:s3:::*"]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    lab.root.policy_add(policy_name(user, "default", "user-a"), policy=document)


def detached(lab: AccessLab, user: str) -> None:
    lab.root.detach_policy([policy_name(user, "default", "user-a")], user=user)


def another_policy(lab: AccessLab, user: str) -> None:
    lab.root.attach_policy(["readwrite"], user=user)


def a_group(lab: AccessLab, user: str) -> None:
    lab.root.group_add(lab.name("group"), [user])  # type: ignore[arg-type]
    lab.root.attach_policy(["readwrite"], group=lab.name("group"))


def disabled(lab: AccessLab, user: str) -> None:
    lab.root.user_disable(user)


def no_key(lab: AccessLab, user: str) -> None:
    lab.root.delete_service_account(lab.keys(user)[0])


def another_secret(lab: AccessLab, user: str) -> None:
    lab.root.update_service_account(access_key=lab.keys(user)[0], secret_key="a-secret-by-hand")


def no_user(lab: AccessLab, user: str) -> None:
    lab.root.user_remove(user)


def no_bucket(lab: AccessLab, _: str) -> None:
    lab.s3.delete_bucket(Bucket=lab.name("bucket-a"))


@pytest.mark.parametrize(
    ("by_hand", "words"),
    [
        (widened, "had another content"),
        (detached, "was not attached"),
        (another_policy, "policy readwrite was attached"),
        (a_group, "was in group"),
        (disabled, "was disabled"),
        (no_key, "was not there, or had another secret"),
        (another_secret, "was not there, or had another secret"),
        (no_user, "was made"),
        (no_bucket, "was made"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_changed_by_hand_is_noticed_and_repaired(
    access_lab: AccessLab, by_hand: Callable[[AccessLab, str], None], words: str
) -> None:
    lab = access_lab
    spec = lab.spec()
    driver = lab.drive(spec)
    driver.finish()
    by_hand(lab, spec["user"])
    status = check(driver)
    told = [event.message for _, event in driver.local.events if event.reason == "DriftRepaired"]
    assert len(told) == 1
    assert words in told[0]
    assert status["repairs"] == 1
    assert condition(status, "Ready")
    info = lab.info(spec)
    assert (info["policyName"], info["status"]) == (policy_name(spec["user"], "default", "user-a"), "enabled")
    assert "memberOf" not in info
    lab.s3.create_bucket(Bucket=lab.name("other"))
    assert passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING
    assert passes(lab.user(driver), lab.name("other")) == set()


def test_a_user_that_was_not_made_here_is_not_touched(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec()
    lab.root.user_add(spec["user"], "a-password-by-hand")
    lab.root.attach_policy(["readonly"], user=spec["user"])
    before = lab.info(spec)
    driver = lab.drive(spec)
    status = driver.finish()
    assert reason(status, "Stalled") == "UserExists"
    assert "adopt: true" in message(status, "Stalled")
    assert lab.info(spec) == before
    assert lab.keys(spec["user"]) == []
    driver.resource = replace(driver.resource, spec=spec | {"deletionPolicy": "Delete"})
    delete(driver)
    assert lab.info(spec) == before


def test_adopt_takes_such_a_user_over_with_the_rights_of_the_grants_alone(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec(adopt=True)
    lab.root.user_add(spec["user"], "a-password-by-hand")
    lab.root.attach_policy(["readwrite"], user=spec["user"])
    driver = lab.drive(spec)
    assert condition(driver.finish(), "Ready")
    assert lab.info(spec)["policyName"] == policy_name(spec["user"], "default", "user-a")
    by_password = s3_client(lab.endpoint, spec["user"], "a-password-by-hand")
    assert passes(by_password, lab.name("bucket-a")) == EVERYTHING
    assert condition(lab.drive(spec | {"adopt": False}).finish(), "Ready")


def test_two_resources_do_not_share_a_user(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec(adopt=True)
    assert condition(lab.drive(spec).finish(), "Ready")
    status = lab.drive(spec, name="another").finish()
    assert reason(status, "Stalled") == "Claimed"
    assert "default.user-a" in message(status, "Stalled")


def test_a_key_of_the_user_that_somebody_else_made_is_named_and_not_touched(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec(adopt=True, keyOverlap="1s")
    lab.root.user_add(spec["user"], "a-password-by-hand")
    lab.root.attach_policy(["readwrite"], user=spec["user"])
    theirs = admin_client(lab.endpoint, Identity(spec["user"], "a-password-by-hand"))
    theirs.add_service_account(access_key="THEIRKEY123", secret_key="their-secret-123")
    driver = lab.drive(spec)
    driver.finish()
    time.sleep(2)
    status = check(driver)
    assert [(s["key"], s["outcome"]) for s in status["samples"]] == [("THEIRKEY123", "foreignKey")]
    assert len(lab.keys(spec["user"])) == 2


def test_a_user_cannot_make_keys_that_would_outlive_a_rotation(access_lab: AccessLab) -> None:
    driver = access_lab.drive(access_lab.spec())
    driver.finish()
    pair = access_lab.pair(driver)
    client = admin_client(access_lab.endpoint, Identity(pair[names.ACCESS_KEY], pair[names.SECRET_KEY]))
    with pytest.raises(MinioAdminException, match="AccessDenied"):
        client.add_service_account()


def test_rotation_puts_a_new_key_in_place_and_both_work_during_the_overlap(access_lab: AccessLab) -> None:
    lab, bucket = access_lab, access_lab.name("bucket-a")
    driver = lab.drive(lab.spec(keyOverlap="1h"))
    driver.finish()
    old, old_pair = lab.user(driver), lab.pair(driver)
    driver.change(driver.resource.spec | {"rotate": "2026-11"})
    status = driver.until(lambda status: status.get("rotated") == "2026-11" and settled(status))
    assert lab.pair(driver)[names.ACCESS_KEY] == status["accessKeyId"] != old_pair[names.ACCESS_KEY]
    assert passes(old, bucket) == passes(lab.user(driver), bucket) == EVERYTHING
    assert [key["accessKeyId"] for key in status["retiringKeys"]] == [old_pair[names.ACCESS_KEY]]
    assert [run["phase"] for run in status["runs"]] == ["grant", "rotate", "check"]
    assert [name for name in driver.local._secrets if name.endswith("-key")] == []  # noqa: SLF001


def test_a_former_key_ends_with_the_overlap(access_lab: AccessLab) -> None:
    lab = access_lab
    driver = lab.drive(lab.spec(keyOverlap="1s"))
    driver.finish()
    old = lab.user(driver)
    driver.change(driver.resource.spec | {"rotate": "2026-11"})
    status = driver.until(
        lambda status: [run["phase"] for run in status["runs"]][-2:] == ["check"] * 2 and settled(status)
    )
    assert condition(status, "Ready")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        old.list_objects_v2(Bucket=lab.name("bucket-a"))
    assert passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING


def test_a_secret_that_exists_is_used_as_it_is(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec()
    given = lab.given(lab.name("GIVEN"), "a-secret-that-was-given")
    driver = lab.drive(spec, user_a_s3=given)
    status = driver.finish()
    assert condition(status, "Ready")
    assert lab.pair(driver) == given
    assert (status["secret"], status["accessKeyId"]) == ("Given", lab.name("GIVEN"))
    assert passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING


FOREIGN = [
    {},
    {names.SECRET_MADE_KEY: "S3Access default/user-a"},
    {names.SECRET_MADE_KEY: "S3Access default/another at {endpoint}"},
    {names.SECRET_GIVEN_KEY: "S3Access another/user-a at {endpoint}"},
    {names.SECRET_GIVEN_KEY: "S3Access default/user-a at http://of.somebody.else:9000"},
    {names.SECRET_GIVEN_KEY: "yes"},
]


@pytest.mark.parametrize("says", FOREIGN, ids=range(len(FOREIGN)))
def test_a_secret_that_does_not_say_itself_that_it_may_be_used_is_not_sent_anywhere(
    access_lab: AccessLab, says: dict[str, str]
) -> None:
    """Who writes a resource names Secrets and a server of their own, and may be allowed to read neither."""
    lab, spec = access_lab, access_lab.spec(deletionPolicy="Delete")
    pair = {names.ACCESS_KEY: lab.name("THEIRS"), names.SECRET_KEY: "of-another-system-1234"}
    theirs = pair | {key: value.format(endpoint=lab.endpoint) for key, value in says.items()}
    driver = lab.drive(spec, user_a_s3=theirs)
    status = driver.finish()
    assert reason(status, "Stalled") == "Refused"
    assert f"{names.SECRET_GIVEN_KEY} with the value '{lab.mark()}'" in message(status, "Stalled")
    with pytest.raises(MinioAdminException, match="NoSuchUser"):
        lab.info(spec)
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        s3_client(lab.endpoint, pair[names.ACCESS_KEY], pair[names.SECRET_KEY]).list_buckets()
    delete(driver)
    assert lab.pair(driver) == theirs


@pytest.mark.parametrize("given", [True, False])
def test_a_pair_is_not_shown_to_another_server_that_is_named_later(access_lab: AccessLab, *, given: bool) -> None:
    lab, spec = access_lab, access_lab.spec()
    driver = lab.drive(spec, **({"user_a_s3": lab.given(lab.name("GIVEN"))} if given else {}))
    assert condition(driver.finish(), "Ready")
    elsewhere = spec["admin"] | {"endpoint": lab.endpoint.replace("127.0.0.1", "localhost")}
    driver.change(spec | {"admin": elsewhere})
    status = driver.until(lambda status: condition(status, "Stalled"))
    assert reason(status, "Stalled") == "Refused"
    assert "localhost" in message(status, "Stalled")


def test_the_admin_itself_is_not_adopted_nor_who_its_key_belongs_to(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec(adopt=True)
    admin = lab.admin(spec)
    user = admin[names.ACCESS_KEY]
    client = admin_client(lab.endpoint, Identity(user, admin[names.SECRET_KEY]))
    client.add_service_account(access_key=lab.name("KEY"), secret_key="of-the-admin-1234")
    before = json.loads(lab.root.user_info(user))
    own = {names.ACCESS_KEY: lab.name("KEY"), names.SECRET_KEY: "of-the-admin-1234"}
    for secret in (admin, own):
        driver = lab.drive(spec | {"user": user}, minio_admin=secret)
        status = driver.finish()
        assert reason(status, "Stalled") == "Refused"
        assert "is the admin of admin.credentials" in message(status, "Stalled")
    assert json.loads(lab.root.user_info(user)) == before
    assert not [name for name in json.loads(lab.root.policy_list()) if name.startswith(f"bucketops-{user}@")]


def test_users_whose_names_begin_alike_do_not_claim_each_other(access_lab: AccessLab) -> None:
    lab = access_lab
    longer = lab.spec(user="user-a") | {"user": f"{lab.name('user-a')}@corp.com"}
    assert condition(lab.drive(longer, "longer").finish(), "Ready")
    shorter = lab.drive(lab.spec())
    assert condition(shorter.finish(), "Ready"), shorter.status
    assert (check(shorter)["repairs"], condition(shorter.status, "Ready")) == (0, True)


SEVERAL = [
    [("ReadOnly", "in/"), ("ReadOnly", "out/")],
    [("ReadWrite", "in/"), ("ReadOnly", ""), ("WriteOnly", "in/")],
    [("ReadOnly", "in/"), ("ReadOnly", "in/")],
    [("ReadWrite", ""), ("ReadWrite", "in/"), ("WriteOnly", "drop/")],
]


@pytest.mark.parametrize("grants", SEVERAL, ids=range(len(SEVERAL)))
def test_several_grants_on_one_bucket_do_not_drift(access_lab: AccessLab, grants: list[tuple[str, str]]) -> None:
    lab, also = access_lab, {"also": ["s3:GetObjectTagging", "s3:GetObjectTagging", "s3:GetBucketVersioning"]}
    driver = lab.drive(lab.spec(*(lab.grant("bucket-a", access, prefix) | also for access, prefix in grants)))
    assert condition(driver.finish(), "Ready"), driver.status
    status = check(driver)
    assert (status["repairs"], status["runs"][-1]["changed"], status["samples"]) == (0, 0, [])
    assert condition(status, "Ready")


def test_a_user_can_not_forge_the_records_of_bucketops(access_lab: AccessLab) -> None:
    lab, bucket = access_lab, access_lab.name("bucket-a")
    plain = lab.drive(lab.spec())
    worker = lab.drive(lab.spec(lab.grant("bucket-a") | {"records": True}, user="user-b"), "user-b")
    for driver in (plain, worker):
        assert condition(driver.finish(), "Ready"), driver.status
    for folder in (".bucketops/s3retention/", "in/.bucketops/"):
        assert passes(lab.user(plain), bucket, folder) == {"list"}
        assert passes(lab.user(worker), bucket, folder) == EVERYTHING
    assert passes(lab.user(plain), bucket, "my.bucketops/") == EVERYTHING
    records = next(place for place in plain.status["access"] if place["prefix"] == ".bucketops/")
    assert records["expected"] == dict.fromkeys(("get", "put", "delete", "multipart"), "Refused") | {"list": "Allowed"}


def test_a_reader_of_the_records_and_a_writer_beside_it_are_kept_apart(access_lab: AccessLab) -> None:
    lab, bucket = access_lab, access_lab.name("bucket-a")
    reader = lab.grant("bucket-a", "ReadOnly", ".bucketops/") | {"records": True}
    driver = lab.drive(lab.spec(lab.grant("bucket-a", "ReadWrite", "in/"), reader))
    assert condition(driver.finish(), "Ready"), driver.status
    for key in (".bucketops/s3migration/x", "in/.bucketops/x"):
        lab.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    user = lab.user(driver)
    assert passes(user, bucket, ".bucketops/") == {"list", "get"}
    assert passes(user, bucket, "in/") == EVERYTHING
    assert passes(user, bucket, "in/.bucketops/") == {"list"}
    assert condition(check(driver), "Ready"), driver.status


def test_a_reader_of_a_bucket_that_begins_with_records_is_as_granted(access_lab: AccessLab) -> None:
    """Records are listed before all other keys, and denied."""
    lab, bucket = access_lab, access_lab.name("bucket-a")
    lab.s3.create_bucket(Bucket=bucket)
    for key in (".bucketops/s3migration/x", "in/.bucketops/x", "in/x"):
        lab.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    driver = lab.drive(lab.spec(lab.grant("bucket-a", "ReadOnly")))
    status = driver.finish()
    assert condition(status, "AccessVerified"), status["access"]
    assert status["access"][0]["seen"]["get"] == "206"


def test_what_was_not_granted_is_proved_without_naming_another_tenants_bucket(access_lab: AccessLab) -> None:
    lab = access_lab
    theirs = f"0-of-another-tenant-{lab.token}"
    lab.s3.create_bucket(Bucket=theirs)
    driver = lab.drive(lab.spec())
    status = driver.finish()
    assert (status["access"][-1]["bucket"], status["access"][-1]["asExpected"]) == ("", True)
    lab.s3.delete_bucket(Bucket=theirs)
    assert theirs not in json.dumps(driver.seen)


def test_rotation_of_a_given_secret_takes_over_the_pair_that_stands_in_it(access_lab: AccessLab) -> None:
    lab = access_lab
    given = lab.given(lab.name("FIRST"), "a-secret-that-was-given")
    driver = lab.drive(lab.spec(), user_a_s3=given)
    driver.finish()
    old = lab.user(driver)
    driver.local._secrets["user-a-s3"] = given | {names.ACCESS_KEY: lab.name("SECOND")}  # noqa: SLF001
    driver.change(driver.resource.spec | {"rotate": "now"})
    status = driver.until(lambda status: status.get("rotated") == "now" and settled(status))
    assert status["accessKeyId"] == lab.name("SECOND")
    assert [key["accessKeyId"] for key in status["retiringKeys"]] == [lab.name("FIRST")]
    assert passes(old, lab.name("bucket-a")) == passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING


def test_a_given_pair_named_like_the_user_is_its_password(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec()
    given = lab.given(spec["user"], "a-password-that-was-given")
    driver = lab.drive(spec, user_a_s3=given)
    assert condition(driver.finish(), "Ready")
    assert passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING
    assert lab.keys(spec["user"]) == []


def test_deletion_takes_user_policy_key_and_secret_along(access_lab: AccessLab) -> None:
    lab, spec = access_lab, access_lab.spec(deletionPolicy="Delete")
    driver = lab.drive(spec)
    driver.finish()
    lab.s3.put_object(Bucket=lab.name("bucket-a"), Key="kept", Body=b"x")
    user = lab.user(driver)
    delete(driver)
    with pytest.raises(MinioAdminException, match="NoSuchUser"):
        lab.info(spec)
    assert policy_name(spec["user"], "default", "user-a") not in json.loads(lab.root.policy_list())
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        user.list_objects_v2(Bucket=lab.name("bucket-a"))
    assert "user-a-s3" not in driver.local._secrets  # noqa: SLF001
    assert lab.s3.head_object(Bucket=lab.name("bucket-a"), Key="kept")


def test_deletion_leaves_a_secret_that_was_given(access_lab: AccessLab) -> None:
    lab = access_lab
    given = lab.given(lab.name("GIVEN"), "a-secret-that-was-given")
    driver = lab.drive(lab.spec(deletionPolicy="Delete"), user_a_s3=given)
    driver.finish()
    delete(driver)
    assert lab.pair(driver) == given


def test_retained_is_the_user_with_its_key_and_a_new_resource_of_that_name_goes_on_with_it(
    access_lab: AccessLab,
) -> None:
    lab, spec = access_lab, access_lab.spec()
    driver = lab.drive(spec)
    driver.finish()
    pair = lab.pair(driver)
    delete(driver)
    assert passes(lab.user(driver), lab.name("bucket-a")) == EVERYTHING
    next_one = lab.drive(spec, user_a_s3=pair)
    status = next_one.finish()
    assert condition(status, "Ready")
    assert (status["secret"], status["accessKeyId"]) == ("Made", pair[names.ACCESS_KEY])
    next_one.change(spec | {"rotate": "now"})
    status = next_one.until(lambda status: condition(status, "Degraded"))
    assert "delete it to rotate" in message(status, "Degraded")
    assert lab.pair(next_one) == pair


def test_a_missing_bucket_is_named_unless_it_is_to_be_made(access_lab: AccessLab) -> None:
    lab = access_lab
    status = lab.drive(lab.spec(createBuckets=False)).finish()
    assert reason(status, "Stalled") == "BucketNotFound"
    assert "createBuckets: true" in message(status, "Stalled")


def test_no_secret_key_stands_in_a_log_a_status_an_event_or_a_result(access_lab: AccessLab) -> None:
    lab = access_lab
    driver = lab.drive(lab.spec(keyOverlap="1s"), processes=True)
    driver.finish()
    pairs = [lab.pair(driver)]
    driver.change(driver.resource.spec | {"rotate": "now"})
    driver.until(lambda status: status.get("rotated") == "now" and settled(status))
    pairs += [lab.pair(driver), lab.pair(driver, "minio-admin")]
    files = [path for path in lab.folder.rglob("*") if path.is_file() and "secrets" not in path.parts]
    told = [path.read_text(errors="replace") for path in files]
    assert any('"message": "done"' in text for text in told), "the logs of the workers are among them"
    told += [json.dumps(driver.seen), str(driver.local.events), repr(driver.local)]
    secrets = {pair[names.SECRET_KEY] for pair in pairs}
    assert len(secrets) == 3
    assert not [text for text in told for secret in secrets if secret in text]
