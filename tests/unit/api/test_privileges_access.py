"""Least privileges of S3Access: the policies are exactly the grants."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketops_api.privileges import access
from bucketops_api.v1alpha1.access import AccessSpec

KINDS = ("ReadOnly", "ReadWrite", "WriteOnly")
GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "bucket": st.sampled_from(["bucket-a", "bucket-b"]),
            "prefix": st.sampled_from(["", "in/", "in/deep/", "out/"]),
            "access": st.sampled_from(KINDS),
        }
    ),
    min_size=1,
    max_size=8,
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
    """What the language of policies says, in the few words that we use of it."""
    arn = f"arn:aws:s3:::{bucket}" + ("" if call == "list" else f"/{key}")
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


@given(
    GRANTS, st.sampled_from(["bucket-a", "bucket-b", "bucket-c"]), st.sampled_from(["x", "in/x", "in/deep/x", "out/x"])
)
def test_the_policy_allows_what_the_grants_allow_and_the_probe_expects(
    grants: list[dict[str, str]], bucket: str, key: str
) -> None:
    wanted = spec(*grants)
    document = access.document(wanted)
    found = {call for call in access.CALLS if evaluated(document, call, bucket, key)}
    assert found == access.expected(wanted, bucket, key)


@given(GRANTS, st.sampled_from(["MinIO", "AWS"]))
def test_no_action_is_a_wildcard_and_every_sid_is_its_own(grants: list[dict[str, str]], provider: str) -> None:
    wanted = spec(*grants, provider=provider)
    for statements in (access.document(wanted)["Statement"], list(access.admin_statements(wanted))):
        assert all("*" not in action for statement in statements for action in statement["Action"])
        sids = [statement["Sid"] for statement in statements]
        assert len(sids) == len(set(sids))


@given(GRANTS)
def test_bucket_actions_stand_on_buckets_and_object_actions_on_objects(grants: list[dict[str, str]]) -> None:
    on_buckets = {"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"}
    for statement in access.document(spec(*grants, provider="AWS"))["Statement"]:
        bucket = set(statement["Action"]) <= on_buckets
        assert all(("/" in resource) is not bucket for resource in statement["Resource"])


@given(GRANTS)
def test_each_granted_place_is_tried_and_one_beside_it_and_another_bucket(grants: list[dict[str, str]]) -> None:
    tried = {(place.bucket, place.prefix): place.allowed for place in access.places(spec(*grants))}
    for grant in grants:
        assert tried[grant["bucket"], grant["prefix"]]
        if grant["prefix"]:
            assert (grant["bucket"], access.NOT_GRANTED) in tried
    assert tried[None, ""] == frozenset()


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
