"""The phases of S3Access by name, as a worker runs them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bucketops_api import counts
from bucketops_api.contract import RunResult
from bucketops_api.privileges.access import CALLS, Place, document, places
from bucketops_api.v1alpha1.scalars import parse_duration
from bucketops_jobs.access import buckets, keys
from bucketops_jobs.access.context import Context
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.access.probe import Answers, as_expected, probe

log = logging.getLogger(__name__)

WRONG = "wrong"
REPAIRED = "repaired"


def grant(context: Context) -> RunResult:
    """Buckets, user, policy and key as the spec has them, then the proof. A check is the same, with nothing to do."""
    standing = context.pair()
    made = buckets.ensure(context.s3, context.spec)
    users = context.users
    users.claim()
    users.settle()
    pair = users.ensure_key(standing)
    _tend(context, pair)
    _prove(context, pair)
    return _told(context, [*(f"bucket {name} was made" for name in made), *users.changed])


def rotate(context: Context) -> RunResult:
    """A new key that works, beside the one in use. In a Secret that was given, the new pair stands already."""
    users, standing = context.users, context.pair()
    imported = context.spec.provider == "MinIO"
    given = imported and context.secret() == "Given"
    fresh = context.staged() if imported and not given else standing
    users.claim()
    for key in _due(context, standing.id if standing else "").remove:  # AWS has room for two
        users.remove_key(key)
    pair = users.ensure_key(standing) if given else users.rotate(fresh)
    _prove(context, pair)
    return _told(context, users.changed)


def revoke(context: Context) -> RunResult:
    """The user goes, with its keys and its policy; its buckets and objects stay."""
    context.tally.facts["removed"] = "yes" if context.users.remove() else "no"
    context.tally.facts["secret"] = context.secret()
    return context.tally.result()


PHASES: Mapping[str, Callable[[Context], RunResult]] = {
    "grant": grant,
    "check": grant,
    "rotate": rotate,
    "revoke": revoke,
}


def _tend(context: Context, pair: Pair) -> None:
    """Former keys retire, and go when their time is over. Keys of somebody else are named and never touched."""
    users, due = context.users, _due(context, pair.id)
    for key in due.retire:
        users.retire(key)
    for key in due.remove:
        users.remove_key(key)
    for key in due.foreign:
        context.tally.sample(key.id, "foreignKey", "an access key that was not made here: delete it if nobody uses it")
    retiring = [f"{key.id}@{key.retires.isoformat()}" for key in (*due.retiring, *due.retire) if key.retires]
    context.tally.facts["retiring"] = ",".join(retiring[:16])


def _due(context: Context, current: str) -> keys.Upkeep:
    now = datetime.now(UTC)
    until = (now + parse_duration(context.spec.key_overlap)).replace(microsecond=0)
    return keys.upkeep(context.users.keys(), current, until, now)


def _prove(context: Context, pair: Pair) -> None:
    """Each expected answer and the answer seen: in the order of `places`, so that numbers are enough."""
    other = buckets.other(context.s3, context.spec)
    tried = [replace(place, bucket=place.bucket or other) for place in places(context.spec) if place.bucket or other]
    seen = probe(context.as_user(pair), tried, context.users.patience, context.pace)
    wrong = [_difference(place, answers) for place, answers in zip(tried, seen, strict=True)]
    for place, sentence in zip(tried, wrong, strict=True):
        if sentence:
            context.tally.add(WRONG)
            context.tally.sample(place.label, "notAsGranted", sentence, first=True)
            log.warning("not as granted", extra={"bucket": place.bucket, "prefix": place.prefix, "why": sentence})
    context.tally.facts |= {
        "accessKey": pair.id,
        "answers": ";".join(",".join(str(answers[call]) for call in CALLS) for answers in seen),
        "other": "tried" if other else "",
        "policy": digest(document(context.spec)),
        "secret": context.secret(),
    }


def _difference(place: Place, seen: Answers) -> str:
    if as_expected(place, seen):
        return ""
    parts = (
        f"{call} should be {'allowed' if call in place.allowed else 'refused'}: {seen[call]}"
        for call in CALLS
        if not as_expected(replace(place, allowed=place.allowed & {call}), {call: seen[call]})
    )
    return "; ".join(parts)


def _told(context: Context, changed: Sequence[str]) -> RunResult:
    for sentence in changed:
        context.tally.sample(context.spec.user, REPAIRED, sentence)
    context.tally.add(counts.CHANGED, len(changed))
    return context.tally.result()


def digest(policy: object) -> str:
    """Names a policy: the operator shows the one that it knows by this digest."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()[:32]
