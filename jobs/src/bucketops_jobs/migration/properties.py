"""What objects have beside their bytes, and what of it the destination cannot keep: said before anything is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bucketops_jobs.errors import NotFoundError
from bucketops_jobs.migration.checks import Found
from bucketops_jobs.migration.content import NAMES, loses
from bucketops_jobs.migration.context import Context
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.transfer import ARCHIVED, MOST_AT_ONCE, STANDARD, copies
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.store import LONGEST_KEY, Object
from bucketops_jobs.shards import Sampler, spread

LOOKED_AT = 1000
"""Objects that are asked at first for properties that hardly anybody has."""
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""


@dataclass
class Seen:
    """Of all legacy objects that are to be moved."""

    classes: Counter[str] = field(default_factory=Counter)
    too_large: int = 0
    """Objects above 5 GiB, which go in parts or not at all."""
    too_long: int = 0
    """Keys that would be longer than a key may be."""
    sample: Sampler = field(default_factory=lambda: Sampler([], most=2 * LOOKED_AT))
    """Keys of objects, and of no row without one."""

    def add(self, key: str, source: Object, prefix: str) -> None:
        """Take notice of one; `key` is relative, `prefix` the destination's."""
        self.classes[source.storage_class] += 1
        self.sample.add(key)
        self.too_large += source.size > MOST_AT_ONCE
        if _LONGEST_CHARACTER * (len(prefix) + len(key)) > LONGEST_KEY:
            self.too_long += int(len(f"{prefix}{key}".encode()) > LONGEST_KEY)

    @property
    def objects(self) -> int:
        """How many."""
        return self.classes.total()

    @property
    def copyable_classes(self) -> set[str]:
        """Those that a copy may have too."""
        return set(self.classes) - ARCHIVED - {STANDARD}


def asks(context: Context, can: Capabilities, keys: Sequence[str]) -> bool:
    """Whether each object is asked for its properties before the server copies it, given some keys of objects.

    A request for each costs nearly as much as a copy. It is worth that where a property is kept by no means, since
    nobody else could name who loses it; where all bytes are read anyway; and where one object of a sample has what
    would be lost.
    """
    if not can.lost_by_copy:
        return False
    if can.lost or context.spec.verify == "Content":
        return True
    sample = [context.source_key(key) for key in spread(keys, LOOKED_AT)]
    answers = context.engine.map(lambda key: loses(context.source, key, can.lost_by_copy), sample)
    context.engine.require_going()
    return any(answer is not False and not isinstance(answer, NotFoundError) for answer in answers)


def warnings(context: Context, plan: Plan, found: Found, seen: Seen) -> Iterator[str]:
    """What some objects will lose, or why they will not move."""
    yield from _archived(seen)
    if seen.too_long:
        yield f"{seen.too_long} keys would be longer than {LONGEST_KEY} bytes and cannot move: choose a shorter prefix"
    if not context.spec.destination.storage_class:
        yield from _classes(plan, seen)
    yield from _lost(context, plan, seen)
    copies = plan.capabilities.others.get("encryption", "none")
    if found.encryption not in {"none", copies}:
        yield (
            f"{context.source.bucket} encrypts what is written to it ({found.encryption}), copies are encrypted "
            f"otherwise ({copies}): set destination.encryption if that is not meant"
        )
    if found.missing.tags:
        yield (
            f"tags: not allowed: {', '.join(found.missing.tags)}: objects with tags fail, or lose them where a server "
            "hides them from who may not read them: allow it"
        )
    if found.missing.parts:
        yield (
            f"multipart uploads: not allowed: {', '.join(found.missing.parts)}: each object goes in one request, and "
            "one above 5 GiB cannot move: allow it if there are any"
        )
    if found.missing.inspection:
        yield (
            f"not allowed: {', '.join(found.missing.inspection)}: nothing can be said of unfinished uploads, versions "
            "or lifecycle rules of the buckets: look for yourself, or allow it"
        )


def _archived(seen: Seen) -> Iterator[str]:
    if count := sum(seen.classes[name] for name in ARCHIVED):
        names = ", ".join(sorted(ARCHIVED & set(seen.classes)))
        yield f"{count} objects are archived ({names}) and cannot be copied before they are restored"


def _classes(plan: Plan, seen: Seen) -> Iterator[str]:
    if foreign := sorted(seen.copyable_classes - set(plan.classes)):
        count = sum(seen.classes[name] for name in foreign)
        yield f"{count} objects lose their storage class ({', '.join(foreign)}), which the destination does not have"


def _lost(context: Context, plan: Plan, seen: Seen) -> Iterator[str]:
    if plan.capabilities.lost:
        names = _names(plan.capabilities.lost)
        yield f"{context.destination.bucket} does not keep {names}: objects that have them lose them"
    asked = plan.asks or not plan.capabilities.lost_by_copy
    if not asked and copies(plan, strict=context.spec.guard == "Strict") and seen.objects > LOOKED_AT:
        names, bucket = _names(plan.capabilities.lost_by_copy), context.destination.bucket
        yield (
            f"copies that {bucket}'s server makes lose {names}: none of {LOOKED_AT} objects has that, so the others "
            "are not asked; if some may have it, choose verify: Content"
        )


def _names(properties: Iterable[str]) -> str:
    return ", ".join(NAMES.get(name, name) for name in properties)
