"""What is wrong with a spec, for the person who wrote it: the field, its value, and what to write instead. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bucketops_api.v1alpha1.common import Model

_PRIVATE = {"credentials", "secretRef"}
"""Fields beside which somebody may have written a secret."""
_SHOWN = 60
"""Characters of a value."""
_WORDS = {
    "missing": "this field is required",
    "model_type": "write fields below it, as keys and values",
    "model_attributes_type": "write fields below it, as keys and values",
    "dict_type": "write keys and values",
    "list_type": "write a list: one line each, beginning with a dash",
    "string_type": "write text; put it in quotes if YAML takes it for something else",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "string_pattern_mismatch": "it must match {pattern}",
    "literal_error": "write one of {expected}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
    "string_too_long": "write at most {max_length} characters",
    "string_too_short": "write at least {min_length} characters",
    "too_long": "write at most {max_length} of them",
    "too_short": "write at least {min_length} of them",
}
"""By the type of pydantic's error (https://docs.pydantic.dev/latest/errors/validation_errors/), what to write."""


def sentences(error: ValidationError, spec: type[Model]) -> Iterator[str]:
    """Return a sentence per fault of a spec."""
    for fault in error.errors(include_url=False):
        where = ".".join(("spec", *(str(part) for part in fault["loc"])))
        yield f"{where}{_value(fault)}: {_instead(fault, spec)}"


def _value(fault: Mapping[str, Any]) -> str:
    """Return the value where it is one word of text or a number, and can be no secret."""
    value = fault["input"]
    hidden = fault["type"] == "extra_forbidden" or _PRIVATE & set(fault["loc"]) or fault["type"] == "missing"
    if hidden or fault["type"].startswith(("model", "dict")) or not isinstance(value, str | int | float | bool):
        return ""
    text = repr(value)
    if "://" in text or "@" in text:  # a user and a password may stand in an address
        return ""
    return f" = {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"


def _instead(fault: Mapping[str, Any], spec: type[Model]) -> str:
    if fault["type"] == "extra_forbidden":
        *above, name = fault["loc"]
        near = difflib.get_close_matches(str(name), _fields(spec, above), n=1)
        return f"unknown field: see docs/reference.md{f'; did you mean {near[0]}?' if near else ''}"
    words = _WORDS.get(fault["type"])
    return words.format(**fault.get("ctx", {})) if words else str(fault["msg"]).removeprefix("Value error, ")


def _fields(spec: type[BaseModel], above: Sequence[int | str]) -> list[str]:
    """Return the names of the fields that a part of a spec has, as YAML writes them."""
    model: type[BaseModel] | None = spec
    for name in above:
        if isinstance(name, int) or model is None:
            continue
        field = next((f for n, f in model.model_fields.items() if name in {n, f.alias}), None)
        model = _model_in(field.annotation) if field else None
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that an annotation names: itself, or in a list, an option, or with constraints."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
