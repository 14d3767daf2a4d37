"""What no worker of ours tells, and no status can hold: a phase machine goes on from a result without it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

MOST_FACTS: Final = 32
"""As many as status.capabilities holds."""
_NAME = re.compile(r"[A-Za-z0-9._/:-]{1,128}")
_MOST_COUNTED = 2**53
_YEARS = range(1970, 9000)
"""Of times that a grace can be added to."""
_SHARDS, _SHA256 = re.compile("[1-9][0-9]{0,3}|10000"), re.compile("[0-9a-f]{64}")
_KEY_CHARACTERS, _PLACE_CHARACTERS = 1024, 2048
_FACT = re.compile(r"(?s).{0,256}")
_LONG = re.compile(rf"(?s).{{0,{_PLACE_CHARACTERS}}}")
_FACTS: Final = {
    "accessKey": re.compile(r"[\x21-\x7e]{0,128}"),
    "answers": _LONG,
    "planHash": re.compile(r"[0-9a-f]{0,64}"),
    "records": _LONG,
    "refusal": _LONG,
    "report": _LONG,
    "retiring": _LONG,
    "secret": re.compile("(Made|Given)?"),
}
"""By name, what a fact can be; the lengths are those of the fields of statuses. Any other one is a capability."""


def misfit(counts: Mapping[str, int], marks: Mapping[str, datetime], facts: Mapping[str, str]) -> str:
    """Return what of a result is none, in words; empty where all can be told."""
    if odd := [name for name in (*counts, *marks, *facts) if not _NAME.fullmatch(name)]:
        return f"names that are none: {_listed(odd)}"
    if odd := [name for name, count in counts.items() if not 0 <= count <= _MOST_COUNTED]:
        return f"counts that are none: {_listed(odd)}"
    if odd := [name for name, when in marks.items() if when.tzinfo is None or when.year not in _YEARS]:
        return f"times that are none: {_listed(odd)}"
    return _odd_facts(facts)


def _odd_facts(facts: Mapping[str, str]) -> str:
    if not _SHARDS.fullmatch(facts.get("shards", "1")):
        return "a number of shards that is none"
    if odd := [name for name in ("records", "report") if len(facts.get(name, "")) > _PLACE_CHARACTERS]:
        return f"names of objects that are none: {odd[0]}"
    if odd := [name for name, fact in facts.items() if not _FACTS.get(name, _FACT).fullmatch(fact)]:
        return f"facts that no status can hold: {_listed(odd)}"
    return f"{len(facts)} facts, and a status holds {MOST_FACTS}" if len(facts) > MOST_FACTS else ""


def is_artifact(key: str, sha256: str) -> bool:
    """Return whether these name an object of the records."""
    return len(key) <= _KEY_CHARACTERS and _SHA256.fullmatch(sha256) is not None


def _listed(odd: Iterable[str]) -> str:
    return ", ".join(sorted(odd)[:3])[:100]
