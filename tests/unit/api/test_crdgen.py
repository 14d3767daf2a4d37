"""Models -> structural schemas: what the API server would refuse is refused here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from bucketops_api.crdgen import UnsupportedSchemaError, crd, schema
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_api.v1alpha1.scalars import FreeForm

Short = Annotated[str, Field(max_length=10)]
Small = Annotated[int, Field(le=10)]


def model(type_: Any, default: Any = ...) -> type[BaseModel]:
    made: type[BaseModel] = create_model("Made", field=(type_, default))
    return made


def converted(type_: Any, default: Any = ...) -> dict[str, Any]:
    found: dict[str, Any] = schema(model(type_, default))["properties"]["field"]
    return found


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        pytest.param(str, "needs maxLength", id="a string without a bound"),
        pytest.param(int, "needs maximum", id="an integer without a bound"),
        pytest.param(list[Short], "needs maxItems", id="a list without a bound"),
        pytest.param(Annotated[list[str], Field(max_length=3)], "needs maxLength", id="its items without one"),
        pytest.param(dict[str, Short], "needs maxProperties", id="a map without a bound"),
        pytest.param(
            Annotated[dict[str, str], Field(max_length=3)], "needs maxLength", id="a map's values without one"
        ),
        pytest.param(Short | Small, "one type only", id="two types"),
        pytest.param(Annotated[Small, Field(gt=1)], "exclusiveMinimum", id="an exclusive bound"),
        pytest.param(Annotated[Small, Field(multiple_of=2)], "multipleOf", id="a multiple"),
        pytest.param(tuple[Short, Small], "prefixItems", id="a tuple"),
        pytest.param(Annotated[bytes, Field(max_length=3)], "format", id="a format that is not known to be safe"),
        pytest.param(Annotated[set[Short], Field(max_length=3)], "uniqueItems", id="a set"),
    ],
)
def test_what_no_structural_schema_can_express_is_refused(type_: Any, message: str) -> None:
    with pytest.raises(UnsupportedSchemaError, match=message):
        converted(type_)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (Short | None, {"type": "string", "maxLength": 10}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "enum": ["a"]}),
        (datetime, {"type": "string", "format": "date-time"}),
        (FreeForm, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        (
            Annotated[list[Short], Field(max_length=3)],
            {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 10}},
        ),
    ],
)
def test_what_becomes_of_a_type(type_: Any, expected: dict[str, Any]) -> None:
    assert converted(type_) == expected


def test_defaults_are_told_not_filled_in() -> None:
    assert converted(Short, "soon") == {"type": "string", "maxLength": 10, "description": "Default: soon."}
    assert converted(bool, default=False)["description"] == "Default: false."
    assert "description" not in converted(Short | None, None)


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from nodes(child, f"{path}.{key}")
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child, f"{path}[]")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_schema_of_every_kind_is_structural_and_bounded(kind: Any) -> None:
    whole = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, node in nodes(whole):
        assert "$ref" not in node, path
        assert "anyOf" not in node, path
        for rule in node.get("x-kubernetes-validations", ()):
            assert rule["message"], path
        if node.get("type") == "object" and "properties" in node:
            assert "additionalProperties" not in node, path


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_has_a_status_with_conditions_as_a_map(kind: Any) -> None:
    made = crd(kind)
    version = made["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert made["metadata"]["name"] == f"{kind.plural}.bucketops.dev"
