"""S3Access on a real MinIO: who is granted what, may do that and nothing else."""

from __future__ import annotations

from typing import Any

from support.access import AccessLab, matrix
from support.driver import condition

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
