"""docs/reference.md: every field of every kind, as the models have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from bucketops_api.crdgen import Schema
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.generators import NOTICE, Files

PATH = PurePosixPath("docs/reference.md")


def files() -> Files:
    """The page of all fields."""
    return {PATH: page(tuple(KINDS.values()))}


def page(kinds: tuple[Kind, ...]) -> str:
    """One section per kind; types that several fields share follow at the end, each once."""
    shared: dict[str, Schema] = {}
    sections = [_kind(kind, shared) for kind in kinds]
    types = [_section(3, name, shared[name]) for name in sorted(shared)]
    parts = [f"<!-- {NOTICE} -->\n\n# Fields", _INTRODUCTION, *sections, "## Types", *types]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = f"""\
All kinds are of `{API_VERSION}`. Defaults are filled in by the operator, so that a stored resource stays as
it was written; the API server refuses a value that breaks a rule, with the message shown here. Fields in **bold** are
required."""


def _kind(kind: Kind, shared: dict[str, Schema]) -> str:
    spec, status = (model.model_json_schema(by_alias=True) for model in (kind.spec, kind.status))
    for name, schema in (spec.pop("$defs", {}) | status.pop("$defs", {})).items():
        if shared.setdefault(name, schema) != schema:
            raise ValueError(f"two types are named {name}: give one of them another name")
    frozen = ", ".join(f"`spec.{field}`" for field in kind.frozen)
    title = f"## {kind.name}\n\nShort name `{kind.short_name}`."
    if frozen:
        title += f" While a run is under way these cannot change: {frozen}."
    return f"{title}\n\n{_section(3, f'{kind.name}.spec', spec)}\n\n{_section(3, f'{kind.name}.status', status)}"


def _section(level: int, name: str, schema: Schema) -> str:
    parts = [f"{'#' * level} {name}"]
    if text := schema.get("description", ""):
        parts.append(" ".join(text.split()))
    rules = [f"- {rule['message']}" for rule in schema.get("x-kubernetes-validations", [])]
    if rules:
        parts.append("\n".join(rules))
    if "properties" in schema:
        parts.append("\n".join(_table(schema)))
    return "\n\n".join(parts)


def _table(schema: Schema) -> Iterator[str]:
    yield "| field | type | default | description |"
    yield "|---|---|---|---|"
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        field = _present(field)  # noqa: PLW2901 - null is no choice of the user's
        title = f"**`{name}`**" if name in required else f"`{name}`"
        yield f"| {title} | {_type(field)} | {_default(field)} | {_description(field)} |"


def _present(field: Schema) -> Schema:
    """`X | None` is an optional X."""
    choices = [choice for choice in field.get("anyOf", []) if choice.get("type") != "null"]
    rest = {keyword: value for keyword, value in field.items() if keyword != "anyOf"}
    return choices[0] | rest if len(choices) == 1 else field


def _type(field: Schema) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if field.get("type") == "array":
        return f"list of {_type(_present(field['items']))}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map of {_type(field['additionalProperties'])}"
    if field.get("format") == "date-time":
        return "time"
    untyped = "string or list of string" if "x-kubernetes-preserve-unknown-fields" in field else "string"
    return "any object" if field.get("type") == "object" else str(field.get("type", untyped))


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, "", [], {}):
        return ""
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{_cell(text)}`"


def _description(field: Schema) -> str:
    allowed = field.get("enum") or ([field["const"]] if "const" in field else [])
    parts = [field.get("description", ""), *(f"Rule: {message}." for message in _messages(field))]
    if allowed:
        parts.append("One of " + ", ".join(f"`{value}`" for value in allowed) + ".")
    parts.append(_bounds(field))
    return _cell(" ".join(part for part in parts if part))


def _messages(field: Schema) -> list[str]:
    return [rule["message"].removesuffix(".") for rule in field.get("x-kubernetes-validations", [])]


def _bounds(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    return f"From {low} to {high}." if low is not None and high is not None and high < _COUNTS else ""


_COUNTS = 2**53
"""The bound of a counter is no news to people."""


def _cell(text: Any) -> str:  # noqa: ANN401 - JSON
    return " ".join(str(text).split()).replace("|", "\\|")
