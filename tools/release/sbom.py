"""The bill of materials of an image: what an OCI archive holds, as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/)."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from bucketops_api.release import HOME, IMAGE_REPOSITORY, TAG
from release.sums import digest

Json = dict[str, Any]
UNKNOWN = "NOASSERTION"
PYTHON = re.compile(r"opt/bucketops/lib/python[^/]+/site-packages/[^/]+\.dist-info/METADATA")
DEBIAN = re.compile(r"var/lib/dpkg/status\.d/[^/]+")
INTERPRETER = re.compile(r"opt/bucketops/pyvenv\.cfg")
SYSTEM = re.compile(r"(usr/lib|etc)/os-release")
_READ = re.compile("|".join(pattern.pattern for pattern in (PYTHON, DEBIAN, INTERPRETER, SYSTEM)))
_NO_ID = re.compile(r"[^a-zA-Z0-9.-]")


def document(archive: Path, epoch: int) -> Json:
    """Return the SPDX document of an image's archive; it is the same for the same archive and date."""
    found, manifest = contents(archive)
    parts = [*python_packages(found), *debian_packages(found), *interpreter(found)]
    parts = sorted({part["SPDXID"]: part for part in parts}.values(), key=lambda part: str(part["SPDXID"]))
    image = _image(archive, manifest)
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    holds = [_relation("SPDXRef-image", "CONTAINS", part["SPDXID"]) for part in parts]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": archive.name,
        "documentNamespace": f"{HOME}/spdx/{archive.name}-{digest(archive)}",
        "creationInfo": {"created": created, "creators": ["Organization: bucketops", f"Tool: bucketops-release-{TAG}"]},
        "packages": [image, *parts],
        "relationships": [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"), *holds],
    }


def contents(archive: Path) -> tuple[dict[str, str], str]:
    """Return the files of an image that say what it holds, as its last layer has them, and its manifest's digest."""
    found: dict[str, str] = {}
    with tarfile.open(archive) as opened:
        index = json.loads(_blob(opened, "index.json").read())
        named = index["manifests"][0]["digest"]
        manifest = json.loads(_blob(opened, named).read())
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=_blob(opened, layer["digest"])) as files:
                found |= dict(_texts(files))
    return found, named


def _blob(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    opened = archive.extractfile(name if "." in name else f"blobs/{name.replace(':', '/')}")
    if opened is None:
        raise ValueError(f"{archive.name!r} is no OCI archive: it has no {name}")
    return opened


def _texts(layer: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    for info in layer:
        name = info.name.removeprefix("./")
        if info.isreg() and _READ.fullmatch(name) and (opened := layer.extractfile(info)):
            yield name, opened.read().decode("utf-8", "replace")


def python_packages(found: dict[str, str]) -> Iterator[Json]:
    """Yield the distributions that pip installed, our own among them."""
    for name, text in found.items():
        if PYTHON.fullmatch(name):
            told = HeaderParser().parsestr(text)
            normal = re.sub(r"[-_.]+", "-", told["Name"]).lower()
            licence = told["License-Expression"] or UNKNOWN
            said = _one_line(told["License"]) or ", ".join(_classified(told.get_all("Classifier") or []))
            purl = f"pkg:pypi/{normal}@{told['Version']}"
            yield _package("pypi", told["Name"], told["Version"], purl, licence=licence, said=said)


def debian_packages(found: dict[str, str]) -> Iterator[Json]:
    """Yield the packages of Debian of which the image has files."""
    system = "\n".join(text for name, text in found.items() if SYSTEM.fullmatch(name))
    release = re.search(r"^VERSION_CODENAME=\W?(\w+)", system, re.MULTILINE)
    for name, text in found.items():
        if DEBIAN.fullmatch(name):
            told = HeaderParser().parsestr(text)
            version, architecture = told["Version"], told["Architecture"]
            distro = f"&distro={release[1]}" if release else ""
            purl = f"pkg:deb/debian/{told['Package']}@{quote(version, safe='')}?arch={architecture}{distro}"
            yield _package("deb", told["Package"], version, purl)


def interpreter(found: dict[str, str]) -> Iterator[Json]:
    """Yield CPython, which some bases have built outside of Debian's packages."""
    for name, text in found.items():
        if INTERPRETER.fullmatch(name) and (version := re.search(r"^version\s*=\s*(\S+)$", text, re.MULTILINE)):
            yield _package("generic", "python", version[1], f"pkg:generic/python@{version[1]}", licence="PSF-2.0")


def _package(kind: str, name: str, version: str, purl: str, *, licence: str = UNKNOWN, said: str = "") -> Json:
    package: Json = {
        "name": name,
        "SPDXID": f"SPDXRef-{kind}-{_NO_ID.sub('-', name)}",
        "versionInfo": version,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": licence,
        "copyrightText": UNKNOWN,
        "externalRefs": [_purl(purl)],
    }
    return package | ({"licenseComments": f"The package says: {said}"} if said and licence == UNKNOWN else {})


def _image(archive: Path, manifest: str) -> Json:
    purl = f"pkg:oci/bucketops@{quote(manifest, safe='')}?repository_url={quote(IMAGE_REPOSITORY, safe='/')}&tag={TAG}"
    return _package("image", "bucketops", TAG, purl, licence="Apache-2.0") | {
        "SPDXID": "SPDXRef-image",
        "packageFileName": archive.name,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest(archive)}],
    }


def _purl(locator: str) -> Json:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}


def _relation(one: str, kind: str, other: str) -> Json:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _one_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0][:200]


def _classified(classifiers: list[str]) -> list[str]:
    return [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
