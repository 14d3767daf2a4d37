"""The version stands in api/src/bucketops_api/__init__.py; whatever else names it follows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from bucketops.__main__ import main
from bucketops_api import __version__
from bucketops_api.release import IMAGE, TAG, semver
from bucketops_operator import generate
from bucketops_operator.generators import helm, install
from bucketops_operator.generators import release as rules
from bucketops_operator.settings import Settings

ROOT = generate.find_root(Path(__file__).resolve())
PROJECTS = sorted(path.parent for path in ROOT.glob("*/pyproject.toml"))
HISTORY = re.compile(r"CHANGELOG\.md|.*\.(lock|sum|mod)|tests/.*")


def test_each_file_that_names_the_version_is_up_to_date() -> None:
    """`make generate` changes it."""
    assert generate.differing(ROOT, rules.files(ROOT, {})) == []


def test_chart_image_and_operator_agree() -> None:
    chart = yaml.safe_load((ROOT / "charts/bucketops/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (TAG, TAG)
    assert IMAGE.partition("/")[0] == "ghcr.io"
    assert Settings().image == IMAGE
    assert f'image: "{IMAGE}"' in (ROOT / install.PATH).read_text()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_each_distribution_has_the_version_and_wants_its_siblings_in_the_same(project: Path) -> None:
    name = re.search(r'^name = "(.*)"$', (project / "pyproject.toml").read_text(), re.MULTILINE)
    assert name
    assert metadata.version(name[1]) == __version__
    siblings = [need for need in metadata.requires(name[1]) or [] if need.startswith("bucketops")]
    assert all(f"=={__version__}" in need for need in siblings), siblings


@pytest.mark.slow
def test_a_new_version_is_one_line_and_make_generate(tmp_path: Path) -> None:
    old, new = __version__, "9.8.7rc6"
    files = [name for name in _tracked() if (ROOT / name).is_file()]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    place = tmp_path / "api/src/bucketops_api/__init__.py"
    place.write_text(place.read_text().replace(old, new))

    path = os.pathsep.join(str(project / "src") for project in tmp_path.glob("*") if (project / "src").is_dir())
    environ = os.environ | {"PYTHONPATH": path, "HELM": helm.find(ROOT)}
    command = [sys.executable, "-m", "bucketops_operator.generate"]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)

    named = re.compile(rf"(?<![\d.]){re.escape(old)}(?![\d.]*\d)")
    current = [name for name in files if not HISTORY.fullmatch(name)]
    assert [name for name in current if named.search((tmp_path / name).read_text(errors="replace"))] == []
    assert f"ghcr.io/bucketops/bucketops:{semver(new)}" in (tmp_path / install.PATH).read_text()


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return listed.stdout.rstrip("\0").split("\0")


def test_the_command_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"bucketops {__version__}\n")
