"""What the runs of S3Access say, folded into its status. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import to_jsonable_python

from bucketops_api import counts
from bucketops_api.contract import RunResult
from bucketops_api.privileges.access import CALLS, Place, document, places
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.access import AccessSpec, AccessStatus, ProbedPlace, RetiringKey
from bucketops_operator import conditions
from bucketops_operator.conditions import ACCESS_VERIFIED, Verdict

_WRONG = "wrong"
_REFUSED, _UNPROVEN = "403", "1"
_NAMED = 5


def found(spec: AccessSpec, result: RunResult, now: datetime) -> dict[str, object]:
    """Fields of the status that every run but the last one proves anew."""
    facts = result.facts
    return {
        "policy": json.dumps(document(spec), separators=(",", ":")),
        "access_key_id": facts.get("accessKey", ""),
        "secret": facts.get("secret", ""),
        "access": _access(spec, facts),
        "samples": list(result.samples),
        "verified_at": now,
    }


def unreadable(spec: AccessSpec, result: RunResult) -> str:
    """Return what is wrong with a worker's result, which is then that of a failed run; empty where it can be read."""
    try:
        fields = found(spec, result, datetime.now(UTC)) | {"retiring_keys": retiring(result.facts)}
        AccessStatus.model_validate({name: to_jsonable_python(value) for name, value in fields.items()})
    except ValueError as error:
        return type(error).__name__
    wanted = len([place for place in places(spec) if place.bucket or result.facts.get("other")])
    if len(result.facts.get("answers", "").split(";")) != wanted:
        return "not every place has answers"
    return "" if result.facts.get("accessKey") else "no access key"


def retiring(facts: Mapping[str, str]) -> list[RetiringKey]:
    """Former keys, and until when they work."""
    pairs = (part.rpartition("@") for part in facts.get("retiring", "").split(",") if part)
    return [RetiringKey(access_key_id=key, until=datetime.fromisoformat(until)) for key, _, until in pairs]


def _access(spec: AccessSpec, facts: Mapping[str, str]) -> list[ProbedPlace]:
    """The worker answers in the order of `places`, with statuses in the order of `CALLS`."""
    tried = [place for place in places(spec) if place.bucket or facts.get("other")]
    answers = [part.split(",") for part in facts.get("answers", "").split(";")]
    return [_probed(spec, place, seen) for place, seen in zip(tried, answers, strict=False)]


def _probed(spec: AccessSpec, place: Place, answers: list[str]) -> ProbedPlace:
    expected = {call: "Allowed" if call in place.allowed else "Refused" for call in CALLS}
    seen = {call: "unproven" if status == _UNPROVEN else status for call, status in zip(CALLS, answers, strict=True)}
    proven = {call: status for call, status in seen.items() if status != "unproven"}
    well = all((expected[call] == "Refused") == (status == _REFUSED) for call, status in proven.items())
    bucket = place.bucket or spec.probe_bucket or ""
    return ProbedPlace(bucket=bucket, prefix=place.prefix, expected=expected, seen=seen, as_expected=well)


def verdicts(spec: AccessSpec, result: RunResult) -> conditions.Verdicts:
    """Ready only with the proof that exactly what is granted works."""
    if wrong := result.counts.get(_WRONG, 0):
        named = [f"{s.key}: {s.message}" for s in result.samples if s.outcome == "notAsGranted"][:_NAMED]
        message = f"in {wrong} places the answers are not as granted: {'; '.join(named)}; look for a bucket policy"
        return conditions.stalled(Reason.NOT_AS_GRANTED, message) | {
            ACCESS_VERIFIED: Verdict("False", Reason.NOT_AS_GRANTED, message)
        }
    tried = len(result.facts.get("answers", "").split(";")) * len(CALLS)
    message = f"{tried} calls as user {spec.user}: what is granted works, and what is not is refused"
    ready = f"user {spec.user} has what is granted, with key {result.facts.get('accessKey', '')}"
    return conditions.complete(Reason.GRANTED, ready) | {ACCESS_VERIFIED: Verdict("True", Reason.VERIFIED, message)}


def repairs(result: RunResult) -> str:
    """What somebody had changed and a check has undone; empty where nothing was."""
    sentences = [sample.message for sample in result.samples if sample.outcome == "repaired"]
    return "; ".join(sentences) if result.counts.get(counts.CHANGED) else ""
