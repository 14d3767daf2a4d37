"""The contract between the operator and a worker: a RunSpec goes in as a file, a RunResult comes back.

The result is the pod's termination message, of which the kubelet keeps 4,096 bytes:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bucketops_api import counts
from bucketops_api.v1alpha1.common import Model, Sample

RESULT_BYTES = 4096
SAMPLES = 20
FAULTS = frozenset({"dangling", "unfinished", "undeleted"})
"""Outcomes that an audit names; their samples stand before all others, for they decide how a run has ended."""
ASIDE = frozenset({"notKept"})
"""Outcomes of samples that make room for all others: what they tell of has ended well."""
_MESSAGE_CHARACTERS = 1500
_SHORT_MESSAGE_CHARACTERS = 200


class _Contract(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class Artifact(_Contract):
    """An object under the records, by name and digest."""

    key: str
    sha256: str


class RunSpec(_Contract):
    """One phase of one resource, with all defaults filled in. An unknown key or version is refused (exit 64)."""

    version: Literal[1] = 1
    kind: str
    phase: str
    namespace: str
    name: str
    run: str
    shards: int = Field(1, ge=1)
    plan: Artifact | None = None
    rollback_of: str = ""
    """The resource whose journal is rolled back, by this run, whose spec is that one's the other way round."""
    origin_rests: bool = False
    """The operator has seen that nobody works for that resource."""
    not_before: datetime | None = None
    jitter_seconds: float = Field(0.0, ge=0)
    """The run begins up to so much later, by chance."""
    changed_since: datetime | None = None
    """A sweep looks into what has changed since then alone, by the server's dates."""
    secrets: tuple[str, ...] = ()
    """Mounted beside those that the spec names by `secretRef`."""
    spec: dict[str, Any]


def run_file(run: RunSpec) -> str:
    """Return a RunSpec as a pod mounts it: keys in a fixed order, so that equal runs have equal bytes."""
    return json.dumps(run.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)


def run_digest(content: str) -> str:
    """Return what a pod knows its run file by: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


class Limits(_Contract):
    """What may change while a run works; read again before every chunk. Rates are shares of one pod."""

    requests_per_second: float | None = None
    bytes_per_second: float | None = None
    max_replication_lag_seconds: float | None = None


class RunResult(_Contract):
    """What a worker has to say at its end. Counts add up over shards, marks take the latest, facts unite."""

    version: Literal[1] = 1
    reason: str = ""
    message: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    marks: dict[str, datetime] = Field(default_factory=dict)
    facts: dict[str, str] = Field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    plan: Artifact | None = None

    def encode(self) -> str:
        """JSON of at most 4,096 bytes, always: samples go first, then the end of the message, then the facts."""
        result = self.model_copy(update={"message": self.message[:_MESSAGE_CHARACTERS]})
        while len(text := _dump(result).encode()) > RESULT_BYTES and result.samples:
            result = result.model_copy(update={"samples": result.samples[:-1]})
        if len(text) > RESULT_BYTES:
            shortened = {"message": self.message[:_SHORT_MESSAGE_CHARACTERS], "facts": {}}
            text = _dump(result.model_copy(update=shortened)).encode()
        if len(text) > RESULT_BYTES:
            text = _dump(RunResult(reason=self.reason[:64], message="the result does not fit 4,096 bytes")).encode()
        return text.decode()


def _dump(result: RunResult) -> str:
    return result.model_dump_json(by_alias=True, exclude_defaults=True)


def total(results: Iterable[RunResult]) -> RunResult:
    """One result of many shards; reason, message and plan are those of the first that has one."""
    whole = RunResult()
    for result in results:
        marks = dict(whole.marks)
        for name, when in result.marks.items():
            marks[name] = max(when, marks.get(name, when))
        whole = RunResult(
            reason=whole.reason or result.reason,
            message=whole.message or result.message,
            counts=counts.add(whole.counts, result.counts),
            marks=marks,
            facts=whole.facts | result.facts,
            samples=tuple(sorted((*whole.samples, *result.samples), key=_by_weight)[:SAMPLES]),
            plan=whole.plan or result.plan,
        )
    return whole


def _by_weight(sample: Sample) -> int:
    return 0 if sample.outcome in FAULTS else 2 if sample.outcome in ASIDE else 1


def resolved(spec: Model) -> dict[str, Any]:
    """A spec with all defaults filled in, as it stands in a RunSpec."""
    return spec.model_dump(mode="json", by_alias=True)
