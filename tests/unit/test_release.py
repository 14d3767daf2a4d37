"""Archives, checksums and bills of materials of a release: the same from the same contents, and readable by others."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from spdx_tools.spdx.model.document import Document
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from release import archives, layout, sbom, sums
from release.__main__ import differences

EPOCH = 1_700_000_000
FILES = {
    "opt/bucketops/lib/python3.13/site-packages/bucketops_jobs-0.1.0.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: bucketops-jobs\nVersion: 0.1.0\nLicense-Expression: Apache-2.0\n\nText: no one\n"
    ),
    "opt/bucketops/lib/python3.13/site-packages/Old_Name.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: Old_Name\nVersion: 2\nLicense: BSD 3-Clause\n\n"
    ),
    "opt/bucketops/lib/python3.13/site-packages/classified.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: classified\nVersion: 3\nClassifier: License :: OSI Approved :: MIT License\n\n"
    ),
    "opt/bucketops/pyvenv.cfg": "home = /usr/local/bin\nversion = 3.13.5\n",
    "var/lib/dpkg/status.d/libjpeg62-turbo": (
        "Package: libjpeg62-turbo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.1.5-4+b1\n"
    ),
    "usr/lib/os-release": 'NAME="Debian GNU/Linux"\nVERSION_CODENAME=trixie\n',
    "opt/bucketops/bin/python": "no metadata",
}


def tar_of(files: dict[str, str], mtime: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(text), mtime, f"user{mtime}"
            archive.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def image(folder: Path, built: int) -> Path:
    """An OCI layout as a builder writes one at a time of its own."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    names = sorted(FILES)
    layers = [put(tar_of({name: FILES[name] for name in part}, built)) for part in (names[:3], names[3:])]
    labels = {"org.opencontainers.image.title": "bucketops"}
    config = {
        "created": f"built at {built}",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:a", "sha256:b"]},
        "history": [{"created": f"built at {built}", "comment": f"FROM {built}"}],
    }
    manifest = put(
        json.dumps({"schemaVersion": 2, "config": put(json.dumps(config).encode()), "layers": layers}).encode()
    )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return archived(tmp_path / "one", built=1)


def archived(folder: Path, built: int) -> Path:
    layout.normalise(image(folder, built), EPOCH, "python:3.13@sha256:abc")
    target = folder.with_suffix(".oci.tar")
    archives.pack(folder, target, EPOCH)
    return target


def test_an_image_built_at_another_time_is_the_same_archive(tmp_path: Path) -> None:
    one, two = archived(tmp_path / "one", built=1), archived(tmp_path / "two", built=2)
    assert one.read_bytes() == two.read_bytes()


def test_each_digest_and_size_in_a_normalised_image_is_that_of_its_blob(tmp_path: Path) -> None:
    folder = image(tmp_path / "image", 1)
    assert layout.normalise(folder, EPOCH, "python:3.13@sha256:abc") == "linux-amd64"
    (named,) = json.loads((folder / "index.json").read_text())["manifests"]
    manifest = json.loads(layout.blob(folder, named["digest"]).read_text())
    described = [named, manifest["config"], *manifest["layers"]]
    for one in described:
        content = layout.blob(folder, one["digest"]).read_bytes()
        assert (one["digest"], one["size"]) == (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
    assert len(list((folder / "blobs/sha256").iterdir())) == len(described)
    config = json.loads(layout.blob(folder, manifest["config"]["digest"]).read_text())
    for layer, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        unpacked = subprocess.run(
            ["gzip", "--decompress", "--stdout", layout.blob(folder, layer["digest"])], check=True, capture_output=True
        )
        assert diff == f"sha256:{hashlib.sha256(unpacked.stdout).hexdigest()}"
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == "sha256:abc"


def test_the_bill_of_materials_is_valid_spdx(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "image.spdx.json").write_text(json.dumps(sbom.document(archive, EPOCH)))
    parsed = parse_file(str(tmp_path / "image.spdx.json"))
    assert isinstance(parsed, Document)
    assert validate_full_spdx_document(parsed, "SPDX-2.3") == []


def test_the_bill_of_materials_names_what_the_image_holds(archive: Path) -> None:
    document = sbom.document(archive, EPOCH)
    refs = {package["name"]: package["externalRefs"][0]["referenceLocator"] for package in document["packages"]}
    assert refs.pop("bucketops").startswith("pkg:oci/bucketops@sha256%3A")
    assert refs == {
        "bucketops-jobs": "pkg:pypi/bucketops-jobs@0.1.0",
        "Old_Name": "pkg:pypi/old-name@2",
        "classified": "pkg:pypi/classified@3",
        "libjpeg62-turbo": "pkg:deb/debian/libjpeg62-turbo@1%3A2.1.5-4%2Bb1?arch=amd64&distro=trixie",
        "python": "pkg:generic/python@3.13.5",
    }
    licences = {one["name"]: (one["licenseDeclared"], one.get("licenseComments")) for one in document["packages"]}
    assert licences["bucketops-jobs"] == ("Apache-2.0", None)
    assert licences["Old_Name"] == ("NOASSERTION", "The package says: BSD 3-Clause")
    assert licences["classified"] == ("NOASSERTION", "The package says: MIT License")


def test_a_repacked_archive_has_its_contents_and_one_date(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tgz", tmp_path / "two.tgz"
    for number, file in enumerate((one, two), 1):
        file.write_bytes(tar_of(FILES, mtime=number))
        archives.repack(file, EPOCH)
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as opened:
        infos = {info.name: info for info in opened}
        assert {name: opened.extractfile(name).read().decode() for name in infos} == FILES  # type: ignore[union-attr]
    assert {(info.mtime, info.uname) for info in infos.values()} == {(EPOCH, "")}


def test_checksums_are_those_that_sha256sum_wants(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "SHA256SUMS.asc").write_text("of an earlier run")
    assert sums.write(tmp_path).read_text() == f"{hashlib.sha256(b'a').hexdigest()}  a\n"
    subprocess.run(["sha256sum", "--check", "--strict", sums.SUMS], cwd=tmp_path, check=True, capture_output=True)


def test_a_key_signs_and_without_one_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    written = sums.write(tmp_path)
    monkeypatch.delenv(sums.KEY, raising=False)
    assert sums.sign(written).startswith("not signed: SIGNING_KEY=")
    assert not (tmp_path / "SHA256SUMS.asc").exists()

    (home := tmp_path / "gnupg").mkdir(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    gpg = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "release@example.com", "ed25519"]
    try:
        subprocess.run(gpg, check=True, capture_output=True)
        monkeypatch.setenv(sums.KEY, "release@example.com")
        assert "gpg --verify" in sums.sign(written)
        verify = ["gpg", "--verify", "SHA256SUMS.asc", sums.SUMS]
        subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True)
        written.write_text("changed")
        assert subprocess.run(verify, cwd=tmp_path, check=False, capture_output=True).returncode == 1
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=os.environ, check=True, capture_output=True)


def test_a_file_that_differs_or_is_absent_is_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "same").write_text("same")
        (folder / "other").write_text(folder.name)
    (one / "only").write_text("one")
    assert sorted(differences(one, two)) == ["only", "other"]
