"""The distributions and the chart of a release: the same bytes each time, and whole outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.metadata import Metadata

from bucketops_api import __version__
from bucketops_operator import generate
from bucketops_operator.generators import helm, install
from release import packages, sources
from release.__main__ import differences
from support.avatars import MODERN, name
from support.clean import clean_environment
from support.command import beside
from support.jpegs import picture
from support.traps import CANARY

ROOT = generate.find_root(Path(__file__).resolve())
EPOCH = 1_700_000_000
DISTRIBUTIONS = ("bucketops", "bucketops_api", "bucketops_jobs", "bucketops_operator")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree, into = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    sources.export(ROOT, tree)
    packages.distributions(tree, into, EPOCH)
    return into


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages.chart(ROOT, tmp_path_factory.mktemp("chart"), EPOCH, helm.find(ROOT))


@pytest.fixture(scope="module")
def programs(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a clean environment with the wheels in it."""
    return clean_environment(tmp_path_factory.mktemp("clean") / "venv", released.glob("*.whl"))


def outside(programs: Path, folder: Path, *command: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment, with nothing of this one's, in a folder outside of the repository."""
    environ = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    command = (str(programs / command[0]), *command[1:])
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=seconds
    )


def test_a_second_build_elsewhere_with_other_modes_and_times_is_the_same(released: Path, tmp_path: Path) -> None:
    tree, into = tmp_path / "another" / "tree", tmp_path / "into"
    before = os.umask(0o077)
    try:
        sources.export(ROOT, tree)
        into.mkdir()
        for file in tree.rglob("*"):
            os.utime(file, (1, 1))
        (tree / "jobs/src/bucketops_jobs/__pycache__").mkdir()
        (tree / "jobs/src/bucketops_jobs/__pycache__/engine.pyc").write_text("lies about")
        packages.distributions(tree, into, EPOCH)
    finally:
        os.umask(before)
    assert differences(released, into) == []


def test_each_wheel_is_complete_and_says_what_an_index_shows(released: Path) -> None:
    for distribution in DISTRIBUTIONS:
        with zipfile.ZipFile(released / f"{distribution}-{__version__}-py3-none-any.whl") as wheel:
            info = f"{distribution}-{__version__}.dist-info"
            told = Metadata.from_email(wheel.read(f"{info}/METADATA"))
            assert f"{info}/licenses/LICENSE" in wheel.namelist()
            assert f"{distribution}/py.typed" in wheel.namelist()
        assert told.license_expression == "Apache-2.0"
        assert told.summary
        assert told.description
        assert told.description_content_type == "text/markdown"
        assert told.project_urls
        assert "Programming Language :: Python :: 3.14" in (told.classifiers or [])


def test_an_sdist_is_enough_to_build_its_wheel(released: Path, tmp_path: Path) -> None:
    """Its version stands in another project of the repository."""
    for distribution in DISTRIBUTIONS:
        with tarfile.open(released / f"{distribution}-{__version__}.tar.gz") as sdist:
            sdist.extractall(tmp_path, filter="data")
        epoch = {sources.EPOCH: str(EPOCH)}
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
        tree = tmp_path / f"{distribution}-{__version__}"
        subprocess.run(command, cwd=tree, env=os.environ | epoch, check=True, capture_output=True)
        wheel = f"{distribution}-{__version__}-py3-none-any.whl"
        assert (tmp_path / wheel).read_bytes() == (released / wheel).read_bytes()


def test_the_wheels_strip_a_picture(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "with.jpg").write_bytes(picture(comment=CANARY))
    done = outside(programs, tmp_path, "bucketops", "strip", "with.jpg", "--output-dir", "clean")
    assert done.returncode == 0, done.stderr
    clean = (tmp_path / "clean/with.jpg").read_bytes()
    assert CANARY not in clean
    assert clean.startswith(b"\xff\xd8")


def test_the_wheels_say_the_privileges_of_a_resource_and_their_version(programs: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "manifests/examples/s3migration.yaml", tmp_path)
    done = outside(programs, tmp_path, "bucketops", "policy", "S3Migration", "-f", "s3migration.yaml", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert "s3:GetObject" in done.stdout
    said = outside(programs, tmp_path, "bucketops", "--version")
    assert said.stdout == f"bucketops {__version__}\n"


def test_the_wheels_run_a_whole_migration(lab: Any, programs: Path, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 21))
    _, *arguments = beside(lab, tmp_path, lab.spec())
    done = outside(programs, tmp_path, "bucketops", *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcomes"]["moved"] == 20
    assert lab.world.paths() == [MODERN + name(number) for number in range(1, 21)]


@pytest.mark.slow
def test_the_packaged_chart_renders_what_the_manifest_says(chart: Path) -> None:
    command = [helm.find(ROOT), "template", "bucketops", chart, "--namespace", install.NAMESPACE, "--skip-tests"]
    command += ["--kube-version", helm.KUBERNETES, "--set", "crds.keep=false"]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert install.manifest(rendered) == (ROOT / install.PATH).read_text()
    with tarfile.open(chart) as opened:
        assert {"bucketops/LICENSE", "bucketops/Chart.yaml", "bucketops/values.schema.json"} <= set(opened.getnames())


@pytest.mark.slow
def test_the_chart_packaged_again_with_other_times_is_the_same(chart: Path, tmp_path: Path) -> None:
    sources.export(ROOT, tmp_path / "tree")
    for file in (tmp_path / "tree").rglob("*"):
        os.utime(file, (1, 1))
    again = packages.chart(tmp_path / "tree", tmp_path, EPOCH, helm.find(ROOT))
    assert again.read_bytes() == chart.read_bytes()
