"""The image of a release: built twice without caches, with a bill of materials that names what it holds."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from spdx_tools.spdx.model.document import Document
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from bucketops_operator import generate
from bucketops_operator.generators import helm
from support.clean import closure

ROOT = generate.find_root(Path(__file__).resolve())
UNCHECKED = 0b01
"""Bytecode that is believed without a look at its source: https://peps.python.org/pep-0552/#specification."""
GZIP = b"\x1f\x8b"
OURS = ("bucketops-api", "bucketops-jobs", "bucketops-operator")


def test_a_release_is_the_same_twice_and_its_bill_of_materials_names_what_the_image_holds(tmp_path: Path) -> None:
    environ = os.environ | {"HELM": helm.find(ROOT), "PYTHONPATH": "tools:tests/cluster"}
    command = [sys.executable, "-m", "release", "--twice", "--into", tmp_path / "dist"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "built twice: the same bytes" in done.stdout

    (archive,) = (tmp_path / "dist").glob("*.oci.tar")
    flags = set(bytecode(archive))
    assert flags == {UNCHECKED}, "bytecode with the time of its source is stale, for layers have other times"

    (document,) = (tmp_path / "dist").glob("*.spdx.json")
    parsed = parse_file(str(document))
    assert isinstance(parsed, Document)
    assert validate_full_spdx_document(parsed, "SPDX-2.3") == []

    purls = [package["externalRefs"][0]["referenceLocator"] for package in json.loads(document.read_text())["packages"]]
    python = {purl.removeprefix("pkg:pypi/").partition("@")[0] for purl in purls if purl.startswith("pkg:pypi/")}
    needs = closure(Requirement(text) for name in OURS for text in requires(name) or [])
    assert python == {canonicalize_name(name) for name in (*needs, *OURS)}
    debian = {purl.removeprefix("pkg:deb/debian/").partition("@")[0] for purl in purls if purl.startswith("pkg:deb/")}
    assert {"libc6", "libjpeg-turbo-progs", "libssl3t64", "ca-certificates", "tzdata"} <= debian
    assert debian.isdisjoint({"bash", "dash", "coreutils", "dpkg", "apt", "perl-base", "gcc"})


def bytecode(archive: Path) -> Iterator[int]:
    """The flags of each compiled module of an image."""
    with tarfile.open(archive) as image:
        for member in image.getmembers():
            blob = image.extractfile(member)
            if blob is None or blob.read(2) != GZIP:
                continue
            blob.seek(0)
            with tarfile.open(fileobj=gzip.open(blob)) as layer:  # type: ignore[arg-type]
                for file in layer.getmembers():
                    if file.name.endswith(".pyc") and (compiled := layer.extractfile(file)):
                        yield int.from_bytes(compiled.read(8)[4:], "little")
