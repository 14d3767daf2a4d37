"""Fixtures of all tiers; each starts its servers only when a test asks for them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from bucketops_api.masking import MASK, Mask
from support.examples import SAME_EACH_TIME

pytest_plugins = ["support.lab", "support.database", "support.retention", "support.access", "support.pipeline"]
settings.register_profile(
    "bucketops",
    deadline=None,  # no test fails because its machine has other work
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=SAME_EACH_TIME,
)
settings.load_profile("bucketops")


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> None:
    """What one test's Secrets hold is a word of another test's messages, perhaps."""
    vars(MASK).update(vars(Mask()))
