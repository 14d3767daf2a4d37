"""`bucketops policy`: the documents of privileges/, in the form that the next program takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops.__main__ import main
from bucketops_api.privileges import access, migration
from bucketops_api.privileges.registry import PRIVILEGES
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_api.v1alpha1.migration import MigrationSpec
from bucketops_api.v1alpha1.registry import KINDS

EXAMPLES = Path(__file__).parents[3] / "manifests/examples"
MIGRATION, ACCESS = str(EXAMPLES / "s3migration.yaml"), str(EXAMPLES / "s3access.yaml")
AWS = """\
apiVersion: bucketops.dev/v1alpha1
kind: S3Access
metadata: {name: app, namespace: team}
spec:
  provider: AWS
  admin: {region: eu-west-1}
  user: app
  grants: [{bucket: bucket-a, prefix: in/, access: WriteOnly}]
  credentialsSecret: {name: app-s3}
"""


def spec_of(file: str, number: int = 0) -> Any:
    return list(yaml.safe_load_all(Path(file).read_text()))[number]["spec"]


def test_one_part_is_the_bare_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "S3Migration", "-f", MIGRATION, "--part", "source"]) == 0
    spec = MigrationSpec.model_validate(spec_of(MIGRATION))
    assert json.loads(capsys.readouterr().out) == migration.policy(*migration.source_statements(spec))


def test_the_users_policy_is_the_one_that_is_put_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "S3Access", "-f", ACCESS, "--name", "user-b", "--part", "user"]) == 0
    assert json.loads(capsys.readouterr().out) == access.document(AccessSpec.model_validate(spec_of(ACCESS, 1)))


def test_grants_are_plain_sql_for_the_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "S3Migration", "-f", MIGRATION, "--part", "database", "--role", "mover"]) == 0
    database = MigrationSpec.model_validate(spec_of(MIGRATION)).database
    assert database is not None
    assert capsys.readouterr().out.splitlines() == list(migration.sql_grants(database, "mover"))


def test_rbac_is_applied_as_it_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(AWS)
    assert main(["policy", "S3Access", "-f", str(file), "--part", "rbac"]) == 0
    account, role, binding = yaml.safe_load_all(capsys.readouterr().out)
    assert account["metadata"] == {"name": "app-access", "namespace": "team"}
    (rule,) = role["rules"]
    assert (rule["resources"], rule["resourceNames"], rule["verbs"]) == (["secrets"], ["app-s3"], ["patch"])
    assert (binding["roleRef"]["name"], binding["subjects"][0]["name"]) == ("app-access", "app-access")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_all_parts_together_for_programs(capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert main(["policy", "S3Migration", "-f", MIGRATION, "-o", form]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert list(found) == ["source", "destination", "database"]


def test_a_table_for_people_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "S3Access", "-f", ACCESS, "--name", "user-a"]) == 0
    told = capsys.readouterr().out
    assert all(action in told for action in ("s3:PutObject", "s3:ListBucket", "admin:CreateUser", "(denied)"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["S3Access", "-f", ACCESS], "user-a, user-b; name one with --name"),
        (["S3Access", "-f", ACCESS, "--name", "user-c"], "none"),
        (["S3Migration", "-f", MIGRATION, "--part", "rbac"], "this resource needs source, destination, database"),
        (["S3Migration", "-f", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_printed_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["policy", *arguments]) == 64
    assert words in capsys.readouterr().err


def test_every_kind_has_its_privileges() -> None:
    assert set(PRIVILEGES) == set(KINDS)
