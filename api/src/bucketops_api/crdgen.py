"""Models -> structural CRD schema. Refuses any keyword that the API server would refuse, instead of guessing.

The rules are those of https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema. Every string, list and map must be bounded: the
API server estimates the cost of CEL rules from the bounds.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from bucketops_api import names
from bucketops_api.v1alpha1 import GROUP, VERSION
from bucketops_api.v1alpha1.common import Rule
from bucketops_api.v1alpha1.kind import Kind

Schema = dict[str, Any]

_ALLOWED = {
    "type", "description", "properties", "required", "items", "enum", "format", "pattern", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "additionalProperties", "default",
    "x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip
_FORMATS = {"date-time"}


class UnsupportedSchemaError(ValueError):
    """A model holds something that no structural schema can express."""


def crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": [names.MANAGER],
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": c.name, "type": c.type, "jsonPath": c.json_path} | ({"priority": c.priority} if c.priority else {})
            for c in kind.columns
        ],
        "schema": {"openAPIV3Schema": _resource(kind)},
    }


def _resource(kind: Kind) -> Schema:
    status = schema(kind.status)
    status["properties"]["observedGeneration"]["default"] = -1
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {
        "type": "object",
        "description": (kind.spec.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema(kind.spec),
            "status": status | {"default": {"observedGeneration": -1}},
        },
    } | ({"x-kubernetes-validations": [_rule(rule) for rule in kind.rules()]} if kind.rules() else {})


def schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model."""
    whole = model.model_json_schema(by_alias=True, mode="validation")
    result = _convert(whole, whole.get("$defs", {}), model.__name__)
    _require_bounds(result, model.__name__)
    return result


def _convert(node: Schema, defs: Schema, path: str) -> Schema:
    node = _without_null(node, defs, path)
    node = _inlined(node, defs)
    out: Schema = {}
    for keyword, value in node.items():
        if keyword in {"title", "$defs", "default"}:
            continue
        if keyword not in _ALLOWED and keyword != "const":
            raise UnsupportedSchemaError(f"{path}: a structural schema has no {keyword!r}")
        out |= _keyword(keyword, value, defs, path)
    return _describe_default(_with_rules(out, node), node)


def _keyword(keyword: str, value: Any, defs: Schema, path: str) -> Schema:  # noqa: ANN401 - JSON
    match keyword:
        case "properties":
            return {keyword: {name: _convert(child, defs, f"{path}.{name}") for name, child in value.items()}}
        case "items":
            return {keyword: _convert(value, defs, f"{path}[]")}
        case "additionalProperties":
            return {} if value is False or value is True else {keyword: _convert(value, defs, f"{path}{{}}")}
        case "const":
            return {"enum": [value], "type": "boolean" if isinstance(value, bool) else "string"}
        case "format":
            if value not in _FORMATS:
                raise UnsupportedSchemaError(f"{path}: format {value!r} is not known to be safe")
    return {keyword: value}


def _without_null(node: Schema, defs: Schema, path: str) -> Schema:
    """`X | None` is an optional X: null never stands in a resource."""
    if "anyOf" not in node:
        return node
    choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
    if len(choices) != 1:
        raise UnsupportedSchemaError(f"{path}: one type only, not {len(choices)}")
    rest = {keyword: value for keyword, value in node.items() if keyword != "anyOf"}
    return _inlined(choices[0], defs) | rest


def _inlined(node: Schema, defs: Schema) -> Schema:
    if "$ref" not in node:
        return node
    target: Schema = defs[node["$ref"].removeprefix("#/$defs/")]
    return target | {keyword: value for keyword, value in node.items() if keyword != "$ref"}


def _with_rules(out: Schema, node: Schema) -> Schema:
    rules = node.get("x-kubernetes-validations")
    return out | {"x-kubernetes-validations": rules} if rules else out


def _describe_default(out: Schema, node: Schema) -> Schema:
    """Defaults are filled in by the models; the description tells them, so that the stored object stays as written."""
    default = node.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict | list):
        return out
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return out | {"description": f"{out.get('description', '')} Default: {text}.".strip()}


_BOUNDS = {"string": "maxLength", "array": "maxItems", "integer": "maximum"}


def _require_bounds(node: Schema, path: str) -> None:
    bound = _BOUNDS.get(node.get("type", ""))
    if bound and bound not in node and "enum" not in node and node.get("format") != "date-time":
        raise UnsupportedSchemaError(f"{path}: a {node['type']} needs {bound}")
    if "additionalProperties" in node and "maxProperties" not in node:
        raise UnsupportedSchemaError(f"{path}: a map needs maxProperties")
    for name, child in node.get("properties", {}).items():
        _require_bounds(child, f"{path}.{name}")
    if "items" in node:
        _require_bounds(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        _require_bounds(node["additionalProperties"], f"{path}{{}}")


def _rule(rule: Rule) -> Schema:
    return {"rule": rule.expression, "message": rule.message}
