"""The folder of one `bucketops run`: nothing of it stays behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bucketops_operator.run.workspace import PREFIX, workspace

HOLDER = """
from bucketops_operator.run.workspace import workspace
with workspace() as folder:
    (folder / "secret").write_text("hidden")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def hold() -> tuple[subprocess.Popen[str], Path]:
    """Another run, with a secret in its folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_only_this_user_can_read_it_and_it_is_gone_in_the_end(place: Path) -> None:
    with workspace() as folder:
        (folder / "run").mkdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_what_a_killed_run_left_behind_is_removed_by_the_next(place: Path) -> None:
    process, left = hold()
    end(process)
    assert (left / "secret").exists()
    with workspace() as folder:
        assert list(place.iterdir()) == [folder]


def test_the_folder_of_a_run_that_still_works_is_left_alone() -> None:
    process, held = hold()
    with workspace() as folder:
        assert folder != held
    assert (held / "secret").read_text() == "hidden"
    end(process)


def test_a_link_or_a_file_with_such_a_name_is_left_alone(place: Path) -> None:
    """So that nobody makes us remove what is not ours."""
    target = place / "precious"
    target.mkdir()
    (place / f"{PREFIX}link").symlink_to(target)
    (place / f"{PREFIX}file").write_text("x")
    with workspace():
        pass
    assert {path.name for path in place.iterdir()} == {"precious", f"{PREFIX}link", f"{PREFIX}file"}
