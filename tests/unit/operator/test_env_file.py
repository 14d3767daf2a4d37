"""Files of KEY=VALUE lines, and YAML in which a key stands twice: what is taken is what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bucketops_operator.run.data import ManifestError
from bucketops_operator.run.env_file import env_file
from bucketops_operator.run.manifest import read
from bucketops_operator.run.strict_yaml import read_yaml

RESOURCE = """\
apiVersion: bucketops.dev/v1alpha1
kind: S3Retention
metadata: {name: web}
spec:
  mode: Plan
  bucket: {bucket: abc, endpoint: "http://127.0.0.1:9", credentials: {secretRef: {name: s}}}
"""
SECRET = "---\nkind: Secret\nmetadata: {name: s}\nstringData: {AWS_ACCESS_KEY_ID: a}\n"


def taken(folder: Path, content: bytes) -> dict[str, str]:
    file = folder / "s.env"
    file.write_bytes(content)
    return env_file("s", file)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\xef\xbb\xbfA=1\n", {"A": "1"}),
        (b"A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        (b"# A=0\n\n  A=1\n", {"A": "1"}),
        (b"A=b=c==", {"A": "b=c=="}),
        (b"A= 1 # 2 \n", {"A": " 1 # 2 "}),
        (b"A=\n", {"A": ""}),
        (b'A=it"s\n', {"A": 'it"s'}),
        (b'A="\n', {"A": '"'}),
        (b"", {}),
    ],
)
def test_values_are_taken_as_they_stand(tmp_path: Path, content: bytes, found: dict[str, str]) -> None:
    assert taken(tmp_path, content) == found


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\"'")))
def test_no_value_is_cut_at_what_python_takes_for_an_end_of_line(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """A password with U+0085 or a vertical tab in it was cut there, and its rest became a key."""
    folder = tmp_path_factory.mktemp("env")
    assert taken(folder, f"A={value}\nB=2\n".encode()) == {"A": value, "B": "2"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A=1\nvery-secret\n", "line 2: write KEY=VALUE"),
        (b"A=1\nvery/secret+half=\n", "line 2: before the '='"),
        (b"export A=very-secret\n", "without export"),
        (b"A =very-secret\n", "line 1: before the '='"),
        (b'A="very-secret"\n', "take the quotes off the value of A"),
        (b"A='very-secret'\n", "take the quotes off the value of A"),
        (b"A=very-secret\nA=2\n", "line 2: A stands there for the second time"),
        (b"A=very-secret\xe9\n", "no text in UTF-8"),
        ("A=very-secret\n".encode("utf-16"), "no text in UTF-8"),
    ],
)
def test_what_is_no_line_of_it_is_told_by_its_number_and_not_shown(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as error:
        taken(tmp_path, content)
    assert words in str(error.value)
    assert not {"very", "half", "0xe9"} & set(str(error.value).replace("/", " ").replace("-", " ").split())


def test_a_file_that_is_a_folder_or_absent_is_told(tmp_path: Path) -> None:
    for file, words in ((tmp_path, "Is a directory"), (tmp_path / "absent", "No such file")):
        with pytest.raises(ManifestError, match=words):
            env_file("s", file)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (RESOURCE + "  mode: Apply\n" + SECRET, 7),
        (RESOURCE.replace("mode: Plan", "mode: Plan\n  keep: {last: 5, last: 1}") + SECRET, 6),
        (RESOURCE + 'spec: {mode: "very-secret"}\n' + SECRET, 7),
        (RESOURCE + SECRET.replace("{AWS_ACCESS_KEY_ID: a}", "{A: very-secret, A: b}"), 10),
    ],
)
def test_a_key_that_stands_twice_is_refused_for_nobody_knows_which_one_holds(
    tmp_path: Path, text: str, line: int
) -> None:
    """The last one held: `mode: Apply` far below a `mode: Plan` deleted what was only to be planned."""
    file = tmp_path / "resource.yaml"
    file.write_text(text)
    with pytest.raises(ManifestError, match=f"line {line}: .* a key stands here for the second time") as error:
        read(file, ())
    assert "very-secret" not in str(error.value)


def test_what_may_stand_twice_does(tmp_path: Path) -> None:
    assert list(read_yaml("a: {x: 1}\nb: {x: 1}\n---\na: 2\n")) == [{"a": {"x": 1}, "b": {"x": 1}}, {"a": 2}]
    assert list(read_yaml("a: &a {x: 1}\nb: {<<: *a, x: 2}\n")) == [{"a": {"x": 1}, "b": {"x": 2}}]
    file = tmp_path / "resource.yaml"
    file.write_text(RESOURCE + SECRET)
    assert read(file, ()).resource.spec["mode"] == "Plan"


def test_two_secrets_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "resource.yaml"
    file.write_text(RESOURCE + SECRET + SECRET)
    with pytest.raises(ManifestError, match="Secret s stands in the file twice"):
        read(file, ())


@pytest.mark.parametrize("labels", ["[a]", "{1: b}", "{a: 1}", "{a: [b]}", "text", "&a {a: *a}"])
def test_labels_that_are_no_texts_are_refused(tmp_path: Path, labels: str) -> None:
    file = tmp_path / "resource.yaml"
    file.write_text(RESOURCE.replace("{name: web}", f"{{name: web, labels: {labels}}}") + SECRET)
    with pytest.raises(ManifestError, match=r"metadata\.labels: write keys and values"):
        read(file, ())


def test_any_document_that_yaml_writes_is_read_alike() -> None:
    document = {"a": [1, {"b": None}], "c": {"d": "e\nf", "2": 2.5}}
    assert list(read_yaml(yaml.safe_dump(document))) == [document]
