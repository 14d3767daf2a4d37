"""An OCI image layout (https://github.com/opencontainers/image-spec) whose bytes do not tell when it was built."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release.archives import compress, rewrite

Json = dict[str, Any]
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def normalise(folder: Path, epoch: int, base: str) -> str:
    """Write an image's layers and descriptions again, each with one date; return its platform, as linux-amd64."""
    index = json.loads((folder / "index.json").read_text())
    manifest = json.loads(blob(folder, index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(folder, manifest["config"]["digest"]).read_text())
    layers = [_layer(folder, old["digest"], epoch) for old in manifest["layers"]]
    config["rootfs"]["diff_ids"] = [of_contents for of_contents, _ in layers]
    config["created"] = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for entry in config["history"]:
        entry["created"] = config["created"]
        entry.pop("comment", None)  # Buildah names the image of the step before by a digest with a date in it
    manifest["config"] |= _put(folder, config)
    manifest["layers"] = [{"mediaType": GZIP, **described} for _, described in layers]
    manifest["annotations"] = _annotations(config, base)
    index["manifests"][0] |= _put(folder, manifest)
    (folder / "index.json").write_text(json.dumps(index))
    _forget(folder, {manifest["config"]["digest"], index["manifests"][0]["digest"], *_digests(manifest["layers"])})
    return f"{config['os']}-{config['architecture']}"


def blob(folder: Path, digest: str) -> Path:
    """Return the place of a blob."""
    return folder / "blobs" / digest.replace(":", "/")


def _layer(folder: Path, digest: str, epoch: int) -> tuple[str, Json]:
    """Write a layer again; return the digest of its contents, and how the manifest describes it."""
    with tempfile.TemporaryFile() as contents, tempfile.TemporaryDirectory(dir=folder) as work:
        with blob(folder, digest).open("rb") as old:
            rewrite(old, contents, epoch)
        contents.seek(0)
        of_contents = hashlib.file_digest(contents, "sha256").hexdigest()
        contents.seek(0)
        packed = Path(work, "layer")
        compress(contents, packed, 0)
        return f"sha256:{of_contents}", _keep(folder, packed)


def _keep(folder: Path, file: Path) -> Json:
    with file.open("rb") as opened:
        digest = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    size = file.stat().st_size
    file.replace(blob(folder, digest))
    return {"digest": digest, "size": size}


def _put(folder: Path, document: Json) -> Json:
    file = folder / "document"
    file.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    return _keep(folder, file)


def _annotations(config: Json, base: str) -> dict[str, str]:
    """Return the labels, of which registries show some, and what the image is based on."""
    name, _, digest = base.partition("@")
    labels: dict[str, str] = config["config"].get("Labels") or {}
    ours = {"org.opencontainers.image.created": config["created"], "org.opencontainers.image.base.name": name}
    return labels | ours | ({"org.opencontainers.image.base.digest": digest} if digest else {})


def _digests(described: list[Json]) -> list[str]:
    return [one["digest"] for one in described]


def _forget(folder: Path, kept: set[str]) -> None:
    places = {blob(folder, digest) for digest in kept}
    for file in (folder / "blobs").rglob("*"):
        if file.is_file() and file not in places:
            file.unlink()
