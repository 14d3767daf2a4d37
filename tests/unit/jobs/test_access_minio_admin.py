"""What refusals of MinIO's admin API mean, and when two policies say the same."""

from __future__ import annotations

from typing import NoReturn

import pytest
from minio.error import MinioAdminException

from bucketops_jobs.access.documents import same_document
from bucketops_jobs.access.minio_admin import call
from bucketops_jobs.errors import TransientError, UserError


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("400", "EntityTooLarge", UserError),
        ("400", "XMinioMalformedIAMPolicy", UserError),
        ("403", "AccessDenied", UserError),
        ("404", "NoSuchThing", UserError),
        ("429", "TooManyRequests", TransientError),
        ("503", "SlowDown", TransientError),
        ("500", "InternalError", TransientError),
    ],
)
def test_what_is_refused_for_good_is_said_at_once(status: str, code: str, error: type[Exception]) -> None:
    """Tried again and again, a policy that is too large took two minutes to be told of."""

    def refuse() -> NoReturn:
        raise MinioAdminException(status, f'{{"Code":"{code}","Message":"no"}}')

    with pytest.raises(error, match=code):
        call("write the policy", refuse)


def test_order_repetition_and_names_of_statements_say_nothing() -> None:
    one = {"Sid": "A", "Effect": "Allow", "Action": ["s3:A", "s3:B", "s3:A"], "Resource": ["x", "y"]}
    other = {"Sid": "B", "Effect": "Allow", "Action": ["s3:B", "s3:A"], "Resource": ["y", "x"]}
    assert same_document({"Version": "1", "Statement": [one, other]}, {"Version": "1", "Statement": [other]})
    assert same_document({"Statement": [one | {"Action": "s3:A"}]}, {"Statement": [one | {"Action": ["s3:A"]}]})
    assert not same_document({"Statement": [one]}, {"Statement": [one | {"Effect": "Deny"}]})
    assert not same_document({"Statement": [one]}, {"Statement": [one | {"Resource": ["x"]}]})
    assert not same_document({"Statement": [one]}, {"Statement": []})
    assert not same_document({"Statement": [one]}, None)
