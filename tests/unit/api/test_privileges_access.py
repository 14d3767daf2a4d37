"""Least privileges of S3Access: the policies are exactly the grants."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_api.names import PROBE_KEY
from bucketops_api.privileges import access
from bucketops_api.v1alpha1.access import AccessSpec

KINDS = {
    "ReadOnly": {"list", "get"},
    "ReadWrite": {"list", "get", "put", "delete", "multipart"},
    "WriteOnly": {"put", "multipart"},
}
PREFIXES = (
    "", "in/", "in", "in/deep/", "out/", ".bucketops", ".bucketops/", ".bucketops/s3retention/", "in/.bucket",
    "in/.bucketops/", "x.bucketops/",
)  # fmt: skip


def mixed(grants: list[dict[str, Any]]) -> bool:
    """Whether a grant lies in records that it does not open, or overlaps one that opens them while it does not."""
    return any(
        not closed["records"]
        and (
            "/.bucketops/" in f"/{closed['prefix']}"
            or any(
                opened["records"]
                and opened["bucket"] == closed["bucket"]
                and (opened["prefix"].startswith(closed["prefix"]) or closed["prefix"].startswith(opened["prefix"]))
                for opened in grants
            )
        )
        for closed in grants
    )


ANY_GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "bucket": st.sampled_from(["bucket-a", "bucket-b"]),
            "prefix": st.sampled_from(PREFIXES),
            "access": st.sampled_from(list(KINDS)),
            "records": st.booleans(),
            "also": st.lists(st.sampled_from(["s3:GetObjectTagging", "s3:GetBucketVersioning"]), max_size=3),
        }
    ),
    min_size=1,
    max_size=5,
)
GRANTS = ANY_GRANTS.filter(lambda grants: not mixed(grants))
KEYS = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["in", "in/", "deep/", "out/", ".bucketops/", ".bucketops", "s3retention/", "/", "x"]),
        min_size=1,
        max_size=4,
    ),
)
NEEDS = {
    "list": "s3:ListBucket", "get": "s3:GetObject", "put": "s3:PutObject", "delete": "s3:DeleteObject",
    "multipart": "s3:AbortMultipartUpload",
}  # fmt: skip


def spec(*grants: dict[str, str], provider: str = "MinIO", **changes: Any) -> AccessSpec:
    plain: dict[str, Any] = {
        "provider": provider,
        "admin": {"endpoint": "http://minio:9000", "credentials": {"secretRef": {"name": "minio-admin"}}},
        "user": "user-a",
        "grants": list(grants or ({"bucket": "bucket-a", "access": "ReadWrite"},)),
        "credentialsSecret": {"name": "user-a-s3"},
    }
    return AccessSpec.model_validate(plain | changes)


def evaluated(document: dict[str, Any], call: str, bucket: str, key: str) -> bool:
    """What the language of policies says, in the few words that we use of it: a Deny wins."""
    arn = f"arn:aws:s3:::{bucket}" + ("" if call == "list" else f"/{key}")
    if any(
        s["Effect"] == "Deny" and any(fnmatchcase(arn, resource) for resource in s.get("Resource", ()))
        for s in document["Statement"]
    ):
        return False
    for statement in document["Statement"]:
        fits = any(
            arn.startswith(resource.removesuffix("*")) if resource.endswith("*") else arn == resource
            for resource in statement.get("Resource", ())
        )
        prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
        listed = call != "list" or any(key.startswith(prefix.removesuffix("*")) for prefix in prefixes)
        if statement["Effect"] == "Allow" and NEEDS[call] in statement["Action"] and fits and listed:
            return True
    return False


def union(grants: list[dict[str, Any]], bucket: str, key: str) -> set[str]:
    """What the grants say of a key, each for itself: records can be listed, and more only with `records`."""
    record = key.startswith(".bucketops/") or "/.bucketops/" in key
    return {
        call
        for grant in grants
        if grant["bucket"] == bucket and key.startswith(grant["prefix"])
        for call in KINDS[grant["access"]]
        if call == "list" or grant["records"] or not record
    }


@settings(max_examples=500)
@given(GRANTS, st.sampled_from(["bucket-a", "bucket-b", "bucket-c"]), KEYS)
def test_the_policy_allows_what_the_grants_allow_and_the_probe_expects(
    grants: list[dict[str, Any]], bucket: str, key: str
) -> None:
    wanted = spec(*grants)
    document = access.document(wanted)
    found = {call for call in access.CALLS if evaluated(document, call, bucket, key)}
    assert found == union(grants, bucket, key) == access.expected(wanted, bucket, key)


@settings(max_examples=300)
@given(ANY_GRANTS)
def test_grants_that_would_open_records_to_each_other_are_refused_and_no_others(grants: list[dict[str, Any]]) -> None:
    if not mixed(grants):
        spec(*grants)
        return
    with pytest.raises(ValidationError, match="records: true"):
        spec(*grants)


def test_a_reader_of_the_records_opens_them_to_no_writer() -> None:
    writer = {"bucket": "bucket-a", "access": "ReadWrite"}
    reader = {"bucket": "bucket-a", "access": "ReadOnly", "prefix": ".bucketops/s3migration/"}
    with pytest.raises(ValidationError, match="set records: true if this user is"):
        spec(writer, reader)
    with pytest.raises(ValidationError, match="in both or in neither, or make two users"):
        spec(writer, reader | {"records": True})  # type: ignore[dict-item]
    apart = spec(writer | {"prefix": "in/"}, reader | {"records": True})  # type: ignore[dict-item]
    document = access.document(apart)
    for key, calls in {"in/.bucketops/x": {"list"}, ".bucketops/s3migration/x": {"list", "get"}}.items():
        assert {call for call in access.CALLS if evaluated(document, call, "bucket-a", key)} == calls


def test_the_bucket_that_proves_refusals_has_no_grant() -> None:
    with pytest.raises(ValidationError, match="probeBucket has a grant"):
        spec(probeBucket="bucket-a")


@given(GRANTS, st.sampled_from(["MinIO", "AWS"]))
def test_no_action_is_a_wildcard_and_every_sid_is_its_own(grants: list[dict[str, str]], provider: str) -> None:
    wanted = spec(*grants, provider=provider)
    for statements in (access.document(wanted)["Statement"], list(access.admin_statements(wanted))):
        allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
        assert all("*" not in action for statement in allowed for action in statement["Action"])
        sids = [statement["Sid"] for statement in statements]
        assert len(sids) == len(set(sids))


@given(GRANTS)
def test_bucket_actions_stand_on_buckets_and_object_actions_on_objects(grants: list[dict[str, str]]) -> None:
    on_buckets = {"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads", "s3:GetBucketVersioning"}
    for statement in access.document(spec(*grants, provider="AWS"))["Statement"]:
        bucket = set(statement["Action"]) <= on_buckets
        assert all(("/" in resource) is not bucket for resource in statement["Resource"])


@given(GRANTS)
def test_each_granted_place_is_tried_and_one_beside_it_and_another_bucket(grants: list[dict[str, str]]) -> None:
    tried = {(place.bucket, place.prefix): place.allowed for place in access.places(spec(*grants))}
    for grant in grants:
        assert tried[grant["bucket"], grant["prefix"]] >= KINDS[grant["access"]]
        if grant["prefix"]:
            assert (grant["bucket"], access.NOT_GRANTED) in tried
    assert tried[None, ""] == frozenset()


@given(GRANTS)
def test_no_two_statements_say_the_same_and_none_says_a_thing_twice(grants: list[dict[str, str]]) -> None:
    """MinIO drops what is said twice, and such a policy would be repaired for ever."""
    said = [
        (s["Effect"], tuple(s["Action"]), tuple(s.get("Resource", ())), str(s.get("Condition")))
        for s in access.statements(spec(*grants))
    ]
    assert len(set(said)) == len(said)
    for _, actions, resources, _ in said:
        assert len(set(actions)) == len(actions)
        assert len(set(resources)) == len(resources)


def test_the_records_of_a_granted_bucket_are_denied_unless_a_grant_opens_them() -> None:
    whole = {"bucket": "bucket-a", "access": "ReadWrite"}
    closed, opened = spec(whole), spec(whole | {"records": True})  # type: ignore[dict-item]
    for key in (".bucketops/x", "in/.bucketops/x"):
        assert access.expected(closed, "bucket-a", key) == {"list"}
        assert not evaluated(access.document(closed), "put", "bucket-a", key)
        assert access.expected(opened, "bucket-a", key) == set(access.CALLS)
        assert evaluated(access.document(opened), "put", "bucket-a", key)
    assert evaluated(access.document(closed), "put", "bucket-a", PROBE_KEY), "the proof itself is no record"
    assert (".bucketops/", {"list"}) in [(p.prefix, set(p.allowed)) for p in access.places(closed)], "it is proved"


def test_records_that_are_opened_in_one_bucket_are_denied_in_the_others() -> None:
    one = {"bucket": "bucket-a", "access": "ReadWrite", "records": True}
    document = access.document(spec(one, {"bucket": "bucket-b", "access": "ReadWrite"}))  # type: ignore[arg-type]
    for key in (".bucketops/x", "in/.bucketops/x"):
        assert [evaluated(document, "put", bucket, key) for bucket in ("bucket-a", "bucket-b")] == [True, False]


def test_four_grants_with_prefixes_fit_what_aws_takes() -> None:
    grants = [{"bucket": f"bucket-{n:03}", "prefix": f"team-{n}/", "access": "ReadWrite"} for n in range(4)]
    assert access.oversize(spec(*grants, provider="AWS")) == ""


@pytest.mark.parametrize(
    ("user", "other"),
    [("john", "john@corp.com"), ("app", "app@x"), ("a@b", "a"), ("john", "john@"), ("app", "app@x@y")],
)
def test_a_claim_is_about_one_user_whole(user: str, other: str) -> None:
    for name in ("j", "n" * 200):
        assert access.claim(access.policy_name(other, "mail", name)) != access.claim(
            access.policy_name(user, "mail", name)
        )
        assert (access.claim(access.policy_name(other, "mail", name)) or ("",))[0] == other
    for foreign in ("readwrite", "bucketops-", "bucketops-@x", "other-a@b.c"):
        assert access.claim(foreign) is None


def test_owners_with_long_names_are_told_apart() -> None:
    tags = {access.owner_tag("n" * 63, "r" * 250 + tail) for tail in "ab"}
    assert len(tags) == 2
    assert all(len(tag) <= 256 for tag in tags)


def test_a_policy_that_the_provider_would_refuse_is_known_before() -> None:
    grants = [{"bucket": f"bucket-{n}", "prefix": "p" * 500 + f"{n}/", "access": "ReadWrite"} for n in range(16)]
    assert "MinIO takes 20480" in access.oversize(spec(*grants))
    assert "AWS takes 2048" in access.oversize(spec(*grants[:4], provider="AWS"))
    assert access.oversize(spec(*grants[:8])) == ""


def test_the_admins_secret_is_not_the_users() -> None:
    with pytest.raises(ValidationError, match="the admin's own Secret"):
        spec(credentialsSecret={"name": "minio-admin"})


def test_a_boundary_is_for_aws_and_the_admin_then_needs_one_right_more() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    with pytest.raises(ValidationError, match="MinIO knows none"):
        spec(permissionsBoundary=boundary)
    bounded = access.admin_statements(spec(provider="AWS", permissionsBoundary=boundary))
    plain = access.admin_statements(spec(provider="AWS"))
    more = {a for s in bounded for a in s["Action"]} - {a for s in plain for a in s["Action"]}
    assert more == {"iam:PutUserPermissionsBoundary"}


def test_a_listing_ends_at_its_prefix() -> None:
    (statement,) = (
        s
        for s in access.statements(spec({"bucket": "bucket-a", "prefix": "in/", "access": "ReadOnly"}))
        if s["Action"] == ["s3:ListBucket"]
    )
    assert statement["Condition"] == {"StringLike": {"s3:prefix": ["in/*"]}}


def test_buckets_are_made_by_who_may_only_on_request() -> None:
    made = [action for s in access.admin_statements(spec(createBuckets=True)) for action in s["Action"]]
    kept = [action for s in access.admin_statements(spec()) for action in s["Action"]]
    assert set(made) - set(kept) == {"s3:CreateBucket"}


def test_the_name_of_a_policy_says_whose_it_is_and_fits() -> None:
    assert access.policy_name("user-a", "team", "app.one") == "bucketops-user-a@team.app.one"
    long = {access.policy_name("u" * 64, "n" * 63, "r" * 200 + tail) for tail in "ab"}
    assert {len(name) for name in long} == {128}
    assert len(long) == 2


@pytest.mark.parametrize("prefix", ["a*", "a?", "${aws:username}/"])
def test_a_prefix_that_a_policy_would_read_as_a_pattern_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="taken literally"):
        spec({"bucket": "bucket-a", "prefix": prefix, "access": "ReadOnly"})


def test_minio_needs_an_endpoint_and_credentials() -> None:
    with pytest.raises(ValidationError, match=r"MinIO needs admin\.endpoint"):
        spec(admin={"endpoint": "http://minio:9000"})
    assert spec(provider="AWS", admin={}).admin.endpoint is None


def test_the_aws_job_may_patch_its_one_secret_and_the_minio_job_nothing() -> None:
    (rule,) = access.secret_rules(spec(provider="AWS"))
    assert (rule["resourceNames"], rule["verbs"]) == (["user-a-s3"], ["patch"])
    assert access.secret_rules(spec()) == ()
