"""A file for `bucketops run` is input: nothing in it becomes a path outside of the run's folder."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import names
from bucketops_operator import local, private_file
from bucketops_operator.run.data import ManifestError
from bucketops_operator.run.manifest import Manifest, read

SECRET: dict[str, Any] = {
    "kind": "Secret",
    "metadata": {"name": "s"},
    "stringData": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "very secret"},
}
BUCKET = {"bucket": "abc", "endpoint": "http://127.0.0.1:9", "credentials": {"secretRef": {"name": "s"}}}
RESOURCE: dict[str, Any] = {
    "apiVersion": "bucketops.dev/v1alpha1",
    "kind": "S3Retention",
    "metadata": {"name": "x"},
    "spec": {"bucket": BUCKET | {"caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}, "keep": {"last": 1}},
}
CONFIG_MAP: dict[str, Any] = {"kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": "text"}}


def file_of(tmp_path: Path, *documents: Any) -> Path:
    file = tmp_path / "resource.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def refusal(tmp_path: Path, *documents: Any, secrets: tuple[str, ...] = ()) -> str:
    with pytest.raises(ManifestError) as error:
        read(file_of(tmp_path, *documents), secrets)
    return str(error.value)


def test_a_resource_with_its_secret_and_its_config_map_is_read(tmp_path: Path) -> None:
    found = read(file_of(tmp_path, RESOURCE, SECRET, CONFIG_MAP), ())
    assert found.secrets == {"s": SECRET["stringData"]}
    assert found.config_maps == {"ca": {"ca.crt": "text"}}


@pytest.mark.parametrize(
    "key", ["/etc/passwd", "../../x", "a/b", "..", ".", "..data", "", "a\x00b", "a b", "ä", "x" * 254]
)
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_a_key_that_kubernetes_would_refuse_is_refused(tmp_path: Path, key: str, field: str) -> None:
    kind = "ConfigMap" if field == "data" else "Secret"
    other = SECRET if field == "data" else CONFIG_MAP
    name = "ca" if field == "data" else "s"
    hostile = {"kind": kind, "metadata": {"name": name}, field: {key: "text"}}
    assert "letters, digits" in refusal(tmp_path, RESOURCE, hostile, other)


@pytest.mark.parametrize("name", ["../s", "/s", "S", "s/..", "..", "", "s\n", "x" * 254, None, 7, ["s"]])
@pytest.mark.parametrize("kind", ["Secret", "ConfigMap", "S3Retention"])
def test_a_name_that_kubernetes_would_refuse_is_refused(tmp_path: Path, name: Any, kind: str) -> None:
    documents = [document for document in (RESOURCE, SECRET, CONFIG_MAP) if document["kind"] != kind]
    (wrong,) = [document for document in (RESOURCE, SECRET, CONFIG_MAP) if document["kind"] == kind]
    if isinstance(name, int):
        name = f"-{name}"
    assert "name" in refusal(tmp_path, *documents, wrong | {"metadata": {"name": name}})


@given(st.text(max_size=300))
def test_a_key_that_is_taken_is_the_name_of_one_file(key: str) -> None:
    if names.is_data_key(key):
        assert (Path("/folder") / key).parent == Path("/folder")
        assert (Path("/folder") / key).name == key


def test_values_that_are_no_text_are_named_and_not_shown(tmp_path: Path) -> None:
    wrong = SECRET | {"stringData": {"AWS_ACCESS_KEY_ID": 123456789}}
    told = refusal(tmp_path, RESOURCE, CONFIG_MAP, wrong)
    assert "AWS_ACCESS_KEY_ID is no text" in told
    assert "123456789" not in told


@pytest.mark.parametrize("value", ["very secret", "aGVsbG8", "/////w=="])
def test_a_value_that_is_no_base64_of_text_is_named_and_not_shown(tmp_path: Path, value: str) -> None:
    told = refusal(
        tmp_path, RESOURCE, CONFIG_MAP, {"kind": "Secret", "metadata": {"name": "s"}, "data": {"KEY": value}}
    )
    assert "data.KEY: write base64" in told
    assert value not in told


@pytest.mark.parametrize(
    "text", ["a: [", "stringData: {k: 'very secret", "a: b: very secret", "!very secret", "[" * 5000]
)
def test_what_is_no_yaml_is_told_without_a_word_of_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "resource.yaml"
    file.write_text(text)
    with pytest.raises(ManifestError) as error:
        read(file, ())
    assert "very secret" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["kind: [Secret]", "kind: {a: b}", "trigger: 2026-13-01", "password: !!int very-secret", "a: !!float very-secret"],
)
def test_what_yaml_takes_for_something_else_is_told_without_a_word_of_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "resource.yaml"
    file.write_text(f"{yaml.safe_dump(RESOURCE)}---\n{text}\n")
    with pytest.raises(ManifestError, match=r"YAML|kind: write") as error:
        read(file, ())
    assert "very-secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_file_of_other_bytes_and_one_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "resource.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="no YAML"):
        read(tmp_path / "resource.yaml", ())
    with pytest.raises(ManifestError, match="No such file"):
        read(tmp_path / "absent.yaml", ())


def test_secrets_of_the_command_line_follow_the_same_rules(tmp_path: Path) -> None:
    env = tmp_path / "s.env"
    env.write_text("../../KEY=value\n")
    assert "letters, digits" in refusal(tmp_path, RESOURCE, CONFIG_MAP, secrets=(f"s={env}",))
    env.write_text("KEY=value\n")
    assert "NAME=FILE.env" in refusal(tmp_path, RESOURCE, CONFIG_MAP, secrets=(f"../s={env}",))


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_secret_that_is_kept_can_be_read_by_nobody_else_whatever_stood_in_its_way(tmp_path: Path) -> None:
    file, waiting = tmp_path / "user-a.env", tmp_path / ".user-a.env.new"
    waiting.write_text("")
    waiting.chmod(0o666)
    Manifest(resource=None, made={"user-a": file}).keep("user-a", {"KEY": "x"})  # type: ignore[arg-type]
    assert mode(file) == 0o600
    assert file.read_text() == "KEY=x\n"
    assert not waiting.exists()


@pytest.mark.parametrize("link", ["user-a.env", ".user-a.env.new"])
def test_a_link_in_its_way_is_replaced_and_not_followed(tmp_path: Path, link: str) -> None:
    victim, file = tmp_path / "elsewhere", tmp_path / "user-a.env"
    victim.write_text("keep me")
    (tmp_path / link).symlink_to(victim)
    Manifest(resource=None, made={"user-a": file}).keep("user-a", {"KEY": "x"})  # type: ignore[arg-type]
    assert victim.read_text() == "keep me"
    assert not file.is_symlink()


def test_a_file_is_created_only_where_nothing_stands(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        private_file.create(tmp_path / "link", "text")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("name", "key"), [("s", "../../out"), ("..", "out"), ("s", "/out")])
def test_the_executor_itself_mounts_no_key_outside_of_its_folder(tmp_path: Path, name: str, key: str) -> None:

    with pytest.raises(ValueError, match="cannot be mounted"):
        local.fill(tmp_path / "root" / "secrets", [name], {name: {key: "text"}})
    assert not list(tmp_path.rglob("out"))
