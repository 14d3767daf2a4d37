"""Fixtures of all tiers; each starts its servers only when a test asks for them."""

pytest_plugins = ["support.lab", "support.retention", "support.access", "support.pipeline"]
