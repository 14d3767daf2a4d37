"""The least rights of S3Retention's one identity."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest

from bucketops_api.privileges import retention
from bucketops_api.v1alpha1.retention import RetentionSpec


def spec(**changes: Any) -> RetentionSpec:
    return RetentionSpec.model_validate({"mode": "Apply", "bucket": {"bucket": "deployments"}} | changes)


def may(rules: RetentionSpec, action: str, key: str) -> bool:
    """Whether a statement allows an action on a key; `*` in a resource is any run of characters, '/' included."""
    arn = f"arn:aws:s3:::deployments/{key}"
    return any(
        action in statement["Action"] and any(fnmatch.fnmatchcase(arn, resource) for resource in statement["Resource"])
        for statement in retention.statements(rules)
    )


SPECS = [
    spec(),
    spec(mode="Plan"),
    spec(versions="All"),
    spec(bucket={"bucket": "deployments", "prefix": "web/"}, folders={"depth": 2}, keep={"referencedBy": ["a.json"]}),
]


@pytest.mark.parametrize("each", SPECS)
def test_no_policy_has_a_wildcard_as_an_action_and_every_statement_has_its_name(each: RetentionSpec) -> None:
    document = retention.policy(*retention.statements(each))
    assert all("*" not in action for s in document["Statement"] for action in s["Action"])
    sids = [s["Sid"] for s in document["Statement"]]
    assert len(sids) == len(set(sids))


def test_who_plans_can_delete_no_folder() -> None:
    assert not may(spec(mode="Plan"), "s3:DeleteObject", "deploy1/index.html")
    assert may(spec(mode="Plan"), "s3:DeleteObject", ".bucketops/s3retention/x")
    assert may(spec(), "s3:DeleteObject", "deploy1/index.html")


@pytest.mark.parametrize("key", ["index.html", "web/robots.txt", "web/shop/robots.txt", "other/a/b/c"])
def test_what_lies_above_the_depth_or_beside_the_prefix_cannot_be_deleted(key: str) -> None:
    rules = spec(bucket={"bucket": "deployments", "prefix": "web/"}, folders={"depth": 2})
    assert may(rules, "s3:DeleteObject", "web/shop/deploy1/index.html")
    assert not may(rules, "s3:DeleteObject", key)


def test_versions_go_only_where_all_are_asked_for() -> None:
    assert not may(spec(), "s3:DeleteObjectVersion", "deploy1/index.html")
    assert may(spec(versions="All"), "s3:DeleteObjectVersion", "deploy1/index.html")


def test_no_object_is_read_but_the_references_and_none_is_written() -> None:
    rules = spec(keep={"referencedBy": ["latest.json"]})
    assert may(rules, "s3:GetObject", "latest.json")
    assert not may(rules, "s3:GetObject", "deploy1/index.html")
    assert not may(rules, "s3:PutObject", "deploy1/index.html")
    assert not may(spec(), "s3:GetObject", "latest.json")


def test_listings_end_at_the_prefix() -> None:
    rules = spec(bucket={"bucket": "deployments", "prefix": "web/"}, versions="All")
    allowed = {
        action: s["Condition"]["StringLike"]["s3:prefix"]
        for s in retention.statements(rules)
        for action in s["Action"]
        if action.startswith("s3:List")
    }
    assert allowed == {"s3:ListBucket": ["web/*", ".bucketops/*"], "s3:ListBucketVersions": ["web/*"]}
