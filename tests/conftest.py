"""Fixtures of all tiers; each starts its servers only when a test asks for them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.lab", "support.retention", "support.access", "support.pipeline"]
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # no test fails because its machine has other work
