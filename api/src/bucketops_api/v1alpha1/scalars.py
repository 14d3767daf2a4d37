"""Scalar types of the API: each carries its bounds, its check and the sentence that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_QUANTITY_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_QUANTITY_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LONGEST = timedelta(days=36_525)
_PORT = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
DURATION_PATTERN = r"^([0-9]+(ms|s|m|h|d|w))+$"
QUANTITY_PATTERN = r"^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$"


@dataclass(frozen=True)
class Check:
    """One rule, enforced twice: as CEL by the API server and as a validator by the models."""

    rule: str
    message: str
    accepts: Callable[[Any], bool]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        json_schema = handler(schema)
        rules = [*json_schema.get("x-kubernetes-validations", []), {"rule": self.rule, "message": self.message}]
        return {**json_schema, "x-kubernetes-validations": rules}

    def _validate(self, value: Any) -> Any:  # noqa: ANN401 - checks stand on any scalar
        if not self.accepts(value):
            raise ValueError(self.message)
        return value


@dataclass(frozen=True)
class Schema:
    """Replaces the JSON schema of a field by one that a CRD can hold."""

    schema: tuple[tuple[str, Any], ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        checks = handler(schema).get("x-kubernetes-validations")
        return dict(self.schema) | ({"x-kubernetes-validations": checks} if checks else {})


def matches(pattern: str, message: str) -> Check:
    """The whole text matches `pattern` (RE2 and Python alike: no look-around)."""
    compiled = re.compile(pattern)
    return Check(f"self.matches(r'{pattern}')", message, lambda value: compiled.fullmatch(value) is not None)


def parse_duration(text: str) -> timedelta:
    """Read a duration as Prometheus writes it: `500ms`, `30s`, `24h`, `1h30m`, `30d`."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration; write for example 500ms, 30s, 24h, 1h30m or 30d")
    seconds = sum(int(n) * _DURATION_UNITS[u] for n, u in re.findall(r"([0-9]+)(ms|[smhdw])", text))
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than 100 years")
    return timedelta(seconds=seconds)


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def parse_quantity(value: int | str) -> int:
    """Read a size in bytes from an integer or a Kubernetes Quantity such as `512Mi`."""
    match = re.fullmatch(r"([0-9]+)(k|M|G|T|Ki|Mi|Gi|Ti)?", str(value))
    if not match:
        raise ValueError(f"{value!r} is no size; write bytes or a quantity such as 512Mi")
    return int(match[1]) * _QUANTITY_UNITS[match[2] or ""]


def _is_quantity(value: int | str) -> bool:
    return re.fullmatch(QUANTITY_PATTERN, str(value)) is not None


def is_time_zone(name: str) -> bool:
    """Whether the IANA database has a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


Duration = Annotated[
    str,
    Field(max_length=32),
    Check(
        f"self.matches(r'{DURATION_PATTERN}')",
        "write a duration such as 500ms, 30s, 24h, 1h30m or 30d",
        _is_duration,
    ),
]
Quantity = Annotated[
    int | str,
    Check(
        f"type(self) == int ? self >= 0 : self.matches(r'{QUANTITY_PATTERN}')",
        "write a size in bytes or a quantity such as 512Mi",
        _is_quantity,
    ),
    Schema((("x-kubernetes-int-or-string", True), ("maxLength", 32))),
]
Shards = Annotated[
    int | str,
    Check(
        "type(self) == int ? self >= 1 && self <= 10000 : self == 'auto'",
        "write auto or a number from 1 to 10000",
        lambda value: value == "auto" or (isinstance(value, int) and 1 <= value <= 10_000),  # noqa: PLR2004
    ),
    Schema((("x-kubernetes-int-or-string", True), ("maxLength", 8))),
]
Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matches(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "write a Kubernetes name: a-z, 0-9, '.' and '-', such as avatars-s3"),
]
Key = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matches(r"^[A-Za-z0-9._-]+$", "write a key as it stands in the Secret or ConfigMap, such as ca.crt"),
]
Prefix = Annotated[str, Field(max_length=1024)]
BucketName = Annotated[
    str,
    Field(min_length=3, max_length=63),
    matches(r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", "a bucket's name is 3 to 63 of a-z, 0-9, '.' and '-', such as legacy-s3"),
]
Endpoint = Annotated[
    str,
    Field(max_length=2048),
    matches(
        rf"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:{_PORT})?/?$",
        "write scheme, host and perhaps a port, such as https://minio.example:9000: http or https in small letters, no "
        "user, path, query or fragment",
    ),
]
Schedule = Annotated[
    str,
    Field(max_length=128),
    matches(
        r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([-0-9A-Za-z*/,?]+ +){4}[-0-9A-Za-z*/,?]+)$",
        "write a cron expression of five fields, such as 0 3 * * *, or @daily",
    ),
]
TimeZone = Annotated[
    str,
    Field(max_length=64),
    Check(
        "self.matches(r'^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+)*$') && self != 'Local'",
        "write a time zone of the IANA database, such as Europe/Paris or Etc/UTC",
        is_time_zone,
    ),
]
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=63),
    matches(r"^[^\x00]+$", "write a name as PostgreSQL has it, which holds no NUL"),
]
Glob = Annotated[str, Field(min_length=1, max_length=1024)]
FreeForm = Annotated[dict[str, Any], Schema((("type", "object"), ("x-kubernetes-preserve-unknown-fields", True)))]
Count = Annotated[int, Field(ge=0, le=2**53)]
