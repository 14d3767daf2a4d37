"""The phase machine without servers: Jobs are data, time is a number, runs end as a test says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bucketops_api.contract import Artifact, RunResult
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedRun, Resource
from bucketops_operator.kinds.migration import desired
from bucketops_operator.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(status_seconds=1)
PLAN = Artifact(key="plans/1.json", sha256="0" * 64)
PLACE = {"bucket": "legacy-s3", "prefix": "image/"}


def spec(**changes: Any) -> dict[str, Any]:
    whole = {
        "mode": "Apply",
        "source": PLACE,
        "destination": {"bucket": "production-s3", "prefix": "avatar/"},
        "cleanup": {"policy": "Delete", "grace": "1h"},
    }
    return whole | changes


class Simulation:
    """One S3Migration and what exists of it."""

    def __init__(self, **changes: Any) -> None:
        self.resource = Resource("S3Migration", "default", "avatars", "uid-1", 1, spec(**changes))
        self.now = START
        self.jobs: dict[str, ObservedRun] = {}
        self.status: dict[str, Any] = {}
        self.events: list[str] = []
        self.answer: Desired = self.step()

    def desire(self) -> Desired:
        """What the machine says now, and nothing happens."""
        return desired(replace(self.resource, status=self.status), list(self.jobs.values()), self.now, SETTINGS)

    def step(self, *, seconds: float = 0, crash: bool = False) -> Desired:
        """One reconcile, as reconcile.py does it; `crash`: the operator dies before it writes the status."""
        self.now += timedelta(seconds=seconds)
        answer = self.desire()
        self.jobs = {name: job for name, job in self.jobs.items() if name in answer.keep}
        for manifest in answer.objects:
            if manifest["kind"] == "Job":
                self._apply(manifest)
        if not crash:
            self.status = answer.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            self.events += [event.reason for event in answer.events]
            self.answer = answer
        return answer

    def _apply(self, manifest: Any) -> None:
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        if name not in self.jobs:
            assert not [job for job in self.jobs.values() if job.pods], "a run begins while pods of the last one exist"
            phase = name.rsplit("-", 1)[1]
            self.jobs[name] = ObservedRun(name, phase, "Running", spec["completions"], active=1, pods=1)
        self.jobs[name] = replace(self.jobs[name], suspended=spec["suspend"])

    @property
    def job(self) -> ObservedRun:
        return self.jobs[self.status["runs"][-1]["id"]]

    @property
    def phase(self) -> str:
        """Of the last run."""
        return str(self.status["runs"][-1]["phase"])

    @property
    def ids(self) -> list[str]:
        return [run["id"] for run in self.status["runs"]]

    def see(self, **changes: Any) -> Simulation:
        """The current run's Job looks like this now; the machine takes notice."""
        self.jobs[self.job.run] = replace(self.job, **changes)
        self.step()
        return self

    def end(self, counts: dict[str, int] | None = None, **result: Any) -> Simulation:
        """The current run succeeds."""
        facts = {"shards": "3", "records": "s3://production-s3/.bucketops/"}
        plan = {"plan": PLAN, "facts": facts, "marks": {"lastLegacyWrite": self.now}}
        extra = plan if self.job.phase == "preflight" else {}
        whole = RunResult(counts=counts or {}, **(extra | result))
        shards = self.job.shards
        return self.see(state="Succeeded", active=0, pods=0, succeeded=shards, result=whole)

    def fail(self, reason: str = "AccessDenied", message: str = "the store says no") -> Simulation:
        return self.see(state="Failed", active=0, pods=0, failure=RunResult(reason=reason, message=message))

    def until(self, phase: str) -> Simulation:
        """Everything goes well until a run of this phase has begun."""
        for _ in range(60):
            if self.phase == phase:
                return self
            if self.status["runs"][-1]["result"] == "Running":
                self.end(COUNTS.get(self.phase, {}))
            else:
                self.step(seconds=300)
        raise AssertionError(f"{phase} not reached: {self.status}")

    def change(self, **changes: Any) -> Simulation:
        """As `kubectl apply` does."""
        whole = {**self.resource.spec, **changes}
        self.resource = replace(self.resource, spec=whole, generation=self.resource.generation + 1)
        self.step()
        return self

    def condition(self, type_: str) -> str:
        """Status and reason."""
        found = next(c for c in self.status["conditions"] if c["type"] == type_)
        return f"{found['status']} {found['reason']}"

    def message(self, type_: str) -> str:
        return str(next(c["message"] for c in self.status["conditions"] if c["type"] == type_))


MOVED = {"objects/moved": 10, "rows/rewritten": 10, "done": 10, "bytes": 100}
COUNTS: dict[str, dict[str, int]] = {
    "preflight": {"total": 10, "census/legacyObjects": 10, "census/legacyRows": 10, "census/productionObjects": 2},
    "plan": MOVED,
    "copy": MOVED | {"changed": 10},
    "sweep": MOVED,
    "delete": {"deleted": 10},
    "audit": MOVED | {"census/productionObjects": 12},
}
