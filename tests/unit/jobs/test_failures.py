"""What an answer of the store means for a run."""

from __future__ import annotations

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import DeniedError, TransientError, UserError
from bucketops_jobs.s3.failures import from_answer


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."),
        (500, "InternalError", "We encountered an internal error: cause(no space left on device)"),
        (400, "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded"),
        (403, "QuotaExceeded", ""),
        (507, "", ""),
    ],
)
def test_a_store_without_space_is_the_users_to_mend(status: int, code: str, message: str) -> None:
    told = from_answer(status, code, message, "put 'k'")
    assert isinstance(told, UserError)
    assert told.reason is Reason.STORAGE_FULL
    assert "make space" in str(told)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_a_key_that_nobody_knows_is_the_users_to_mend(code: str) -> None:
    told = from_answer(403, code, "", "list ''")
    assert isinstance(told, UserError)
    assert told.reason is Reason.ACCESS_DENIED


def test_a_server_that_asks_for_less_is_told_from_one_that_fails() -> None:
    slow, failed = (from_answer(status, code, "", "get 'k'") for status, code in ((503, "SlowDown"), (500, "")))
    assert isinstance(slow, TransientError)
    assert isinstance(failed, TransientError)
    assert (slow.throttled, failed.throttled) == (True, False)


def test_a_denial_is_an_objects_own() -> None:
    assert isinstance(from_answer(403, "AccessDenied", "", "copy 'k'"), DeniedError)
