"""What all faults have in common: the pauses of the phase machine are short."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bucketops_jobs.migration import replicas
from bucketops_operator.kinds import migration_order, runs
from support import driver


@pytest.fixture
def quick_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two sweeps, before a phase or a shard is tried again, between two looks at the replicas."""
    monkeypatch.setattr(driver, "BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr(migration_order, "SWEEP_PAUSE", timedelta(seconds=0.3))
    monkeypatch.setattr(runs, "FIRST_RETRY", timedelta(seconds=1))
    monkeypatch.setattr(replicas, "LOOK_SECONDS", 0.2)
