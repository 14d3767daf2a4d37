"""The contract between the operator and a worker: a RunSpec goes in as a file, a RunResult comes back.

The result is the pod's termination message, of which the kubelet keeps 4,096 bytes:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from bucketops_api import counts
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_api.result_bounds import MOST_FACTS, is_artifact, misfit
from bucketops_api.v1alpha1.common import Model, Sample

RESULT_BYTES = 4096
SAMPLES = 20
FAULTS = frozenset({"dangling", "unfinished", "undeleted", "leftover"})
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
    journal_key: str = ""
    """Of the status: what is sealed with it counts also when the Secret's key has been rotated. Empty: none is kept."""
    origin_rests: bool = False
    """The operator has seen that nobody works for that resource."""
    not_before: datetime | None = None
    jitter_seconds: float = Field(0.0, ge=0)
    """The run begins up to so much later, by chance."""
    changed_since: datetime | None = None
    """A sweep looks into what has changed since then alone, by the server's dates."""
    secrets: tuple[str, ...] = ()
    """Mounted beside those that the spec names by `secretRef`."""
    secret_uid: str = ""
    """Of the credentials Secret that was made for the resource: a worker that may write it writes no other one."""
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

    run_sha256: str = ""
    """Of the run file that the worker read: the result of another run says nothing of this one."""

    def masked(self) -> RunResult:
        """Return this result without any secret that this process knows."""
        samples = tuple(
            one.model_copy(update=MASK.tree({"key": one.key, "message": one.message})) for one in self.samples
        )
        words = {"message": MASK.text(self.message), "facts": MASK.tree(self.facts)}
        return self.model_copy(update={**words, "samples": samples})

    def encode(self) -> str:
        """Return JSON of at most 4,096 bytes; what people read is shortened for it, what programs read never.

        Samples go first, then the end of the message. A result that still does not fit is not told in part: a failure
        keeps its reason and words (`as_failure`), and a success becomes the error RESULT_TOO_LARGE, see `fits`.
        """
        return _fitted(self) or _fitted(self.too_large()) or _dump(RunResult(reason=Reason.RESULT_TOO_LARGE))

    @property
    def fits(self) -> bool:
        """Whether everything that a program reads of it reaches the operator."""
        return bool(_fitted(self))

    def too_large(self) -> RunResult:
        """Return the error that stands for a result that does not fit."""
        size, told = len(_dump(self).encode()), f" ({self.reason[:64]}: {self.message})" if self.reason else ""
        message = (
            f"the result has {size} bytes, and {RESULT_BYTES} reach the operator, so it is not known what the run has "
            f"found{told}: report this as a bug"
        )
        return RunResult(reason=Reason.RESULT_TOO_LARGE, message=message, run_sha256=self.run_sha256[:64])

    def as_failure(self) -> RunResult:
        """Return the reason and the words of a failed run alone, for one whose counts and facts do not fit."""
        return RunResult(reason=self.reason[:64], message=self.message, run_sha256=self.run_sha256[:64])


class UnknownResultError(Exception):
    """What a worker left cannot be read as the result of its run; the message says why."""


def read_result(text: str, run_sha256: str = "") -> RunResult:
    """Return the result that a worker left; UnknownResultError, with the cause in words, for anything else.

    `run_sha256`: the digest of the run file that the worker was given; a result of another one does not count.
    """
    if not text.strip():
        raise UnknownResultError("it left no result")
    if (size := len(text.encode(errors="surrogatepass"))) > RESULT_BYTES:
        raise UnknownResultError(f"what it left has {size} bytes, and a result has {RESULT_BYTES} at most")
    try:
        found = RunResult.model_validate_json(text)
    except ValidationError as error:
        raise UnknownResultError(_why_unreadable(text, error)) from error
    if found.reason == Reason.RESULT_TOO_LARGE:
        raise UnknownResultError(found.message)
    if odd := _oddity(found):
        raise UnknownResultError(f"its result has {odd}")
    if run_sha256 and found.run_sha256 and found.run_sha256 != run_sha256:
        raise UnknownResultError("the result that it left is that of another run")
    return found


def _oddity(result: RunResult) -> str:
    """Say what no worker of ours tells; '' for a result that a phase machine can go on from."""
    if odd := misfit(result.counts, result.marks, result.facts):
        return odd
    return "a plan that is none" if result.plan and not is_artifact(result.plan.key, result.plan.sha256) else ""


def _why_unreadable(text: str, error: ValidationError) -> str:
    """Say why a text is no result: cut short, no JSON, or of another version."""
    if any(one["type"] == "json_invalid" for one in error.errors(include_input=False, include_url=False)):
        cut = len(text.encode()) >= RESULT_BYTES or text.lstrip().startswith("{")
        return "the result that it left is cut short" if cut else "what it left is no result, but other text"
    where = [".".join(map(str, one["loc"])) for one in error.errors(include_input=False, include_url=False)]
    if not any(where):
        return "what it left is no result, but JSON of another form: run the operator's own version of the image"
    if "version" in where:
        return (
            "its result is of a version that this operator does not know: run the operator's own version of the image"
        )
    return f"its result has fields that this operator cannot read ({', '.join(where[:3])}): run the operator's version"


def _fitted(result: RunResult) -> str:
    """Return the JSON of a result, with its samples and message as short as they must be; '' if it is too large."""
    for characters in (_MESSAGE_CHARACTERS, _SHORT_MESSAGE_CHARACTERS):
        short = result.model_copy(update={"message": result.message[:characters]})
        while len(text := _dump(short).encode()) > RESULT_BYTES and short.samples:
            short = short.model_copy(update={"samples": short.samples[:-1]})
        if len(text) <= RESULT_BYTES:
            return text.decode()
    return ""


def _dump(result: RunResult) -> str:
    return result.model_dump_json(by_alias=True, exclude_defaults=True)


def total(results: Iterable[RunResult]) -> RunResult:
    """One result of many shards; reason, message and plan are those of the first that has one, facts the first 32."""
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
            facts=dict(itertools.islice((whole.facts | result.facts).items(), MOST_FACTS)),
            samples=tuple(sorted((*whole.samples, *result.samples), key=_by_weight)[:SAMPLES]),
            plan=whole.plan or result.plan,
        )
    return whole


def _by_weight(sample: Sample) -> int:
    return 0 if sample.outcome in FAULTS else 2 if sample.outcome in ASIDE else 1


def resolved(spec: Model) -> dict[str, Any]:
    """A spec with all defaults filled in, as it stands in a RunSpec."""
    return spec.model_dump(mode="json", by_alias=True)
