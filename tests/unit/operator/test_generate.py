"""Generated files are what the models say, and are up to date."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bucketops_api.crdgen import crd
from bucketops_api.release import IMAGE_REPOSITORY
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import generate
from bucketops_operator.chart_values import Values
from bucketops_operator.generators import NOTICE, chart, install, reference, text

ROOT = generate.find_root(Path(__file__).resolve())


def default_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / chart.CHART / "values.yaml").read_text())
    return values


def test_every_generated_file_is_up_to_date() -> None:
    """`make generate` mends it."""
    assert generate.differing(ROOT, generate.files()) == []


@pytest.mark.parametrize("path", [*generate.files(), install.PATH])
def test_every_generated_file_says_so_at_its_top(path: PurePosixPath) -> None:
    assert NOTICE in "".join((ROOT / path).read_text().splitlines()[:2])


def test_default_values_are_valid() -> None:
    assert Values.model_validate(default_values()).image.repository == IMAGE_REPOSITORY


@pytest.mark.parametrize("wrong", [{"replicas": 2}, {"logFormat": "xml"}, {"namespaces": ["No_Name"]}])
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Values.model_validate(default_values() | wrong)


def test_schema_of_values_refuses_unknown_keys_at_every_level() -> None:
    schema = json.loads(chart.values_schema())
    models = [schema, *schema["$defs"].values()]
    assert all(model["additionalProperties"] is False for model in models)
    assert schema["$defs"]["Image"]["properties"]["tag"]["not"] == {"const": "latest"}


def test_crd_in_the_chart_is_that_of_the_models() -> None:
    for kind in KINDS.values():
        template = chart.crd_template(kind)
        spec = template[template.index("\nspec:") :].removesuffix("{{- end }}\n")
        assert yaml.safe_load(spec.replace('{{ "{{" }}', "{{"))["spec"] == crd(kind)["spec"]


def test_schema_hash_follows_the_schema() -> None:
    made = crd(next(iter(KINDS.values())))
    changed = {**made, "spec": {**made["spec"], "scope": "Cluster"}}
    assert chart.schema_hash(made) == chart.schema_hash(dict(made)) != chart.schema_hash(changed)


def test_helm_sees_no_action_in_a_description() -> None:
    assert text.escaped("as {{key}}") == 'as {{ "{{" }}key}}'


def test_yaml_has_no_anchors() -> None:
    shared = {"a": [1]}
    assert text.to_yaml({"x": shared, "y": shared}) == "x:\n  a:\n    - 1\ny:\n  a:\n    - 1\n"


def test_reference_has_every_field_with_its_default_and_its_choices() -> None:
    page = reference.page(tuple(KINDS.values()))
    assert "| `onConflict` | string | `Fail` |" in page
    assert "One of `Fail`, `KeepDestination`, `Overwrite`." in page
    assert "| **`bucket`** |" in page
    for kind in KINDS.values():
        for field in kind.spec.model_json_schema(by_alias=True)["properties"]:
            assert f"`{field}`" in page


def test_links_in_the_reference_lead_somewhere() -> None:
    page = reference.page(tuple(KINDS.values()))
    headings = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}
    targets = {part.split(")", 1)[0] for part in page.split("](#")[1:]}
    assert targets <= headings


def test_install_manifest_bears_no_marks_of_helm() -> None:
    rendered = "---\n# Source: x\nkind: Y\nmetadata:\n  labels:\n    helm.sh/chart: z\n    a: b\n"
    assert install.manifest(rendered).endswith("---\nkind: Y\nmetadata:\n  labels:\n    a: b\n")


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    path = PurePosixPath("docs/page.md")
    assert generate.write(tmp_path, {path: "text"}) == [path]
    assert generate.write(tmp_path, {path: "text"}) == []
    assert generate.differing(tmp_path, {path: "other"}) == [path]


def test_outside_the_repository_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="inside the repository"):
        generate.find_root(tmp_path)
