"""Build a release into a folder (`make release`); the modules of tests/cluster, which know Buildah, are on the path."""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import sys
import tempfile
from pathlib import Path

from release import packages, sources, sums

ROOT = Path(__file__).resolve().parents[2]


def build(tree: Path, into: Path, epoch: int, revision: str, *, image: bool, cache: bool = True) -> list[str]:
    """Build everything into a new folder; return sentences about what was not done as a release should have it."""
    packages.distributions(tree, into, epoch)
    packages.chart(tree, into, epoch, os.environ.get("HELM") or "helm")
    packages.manifest(tree, into)
    notes = []
    if image:
        from release import image as images  # noqa: PLC0415 - needs tests/cluster, and root

        notes += images.release(tree, into, epoch, revision, cache=cache)
    if revision.endswith("-dirty"):
        notes.append("files differ from the last commit: a release is built from a clean checkout")
    sums.write(into)
    return notes


def differences(one: Path, two: Path) -> list[str]:
    """Return the names of the files that are not the same, byte for byte, in both folders."""
    names = sorted({file.name for folder in (one, two) for file in folder.iterdir()})
    _, different, absent = filecmp.cmpfiles(one, two, names, shallow=False)
    return different + absent


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main() -> int:
    """Build, perhaps compare with a second build, sign, and tell what there is now."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="a folder, which is emptied before")
    parser.add_argument("--without-image", action="store_true", help="no image and no SBOM, which need Buildah")
    parser.add_argument("--twice", action="store_true", help="build again, without caches, and compare all bytes")
    parsed = parser.parse_args()
    image, into = not parsed.without_image, _empty(parsed.into.resolve())
    epoch, revision = sources.epoch(ROOT), sources.revision(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        tree, second = Path(folder, "tree"), Path(folder, "second")
        sources.export(ROOT, tree)
        notes = build(tree, into, epoch, revision, image=image)
        if parsed.twice:
            build(tree, _empty(second), epoch, revision, image=image, cache=False)
            if different := differences(into, second):
                sys.stderr.write(f"✗ a second build differs in {', '.join(different)}\n")
                return 1
            notes.append("built twice: the same bytes")
    notes.append(sums.sign(into / sums.SUMS))
    lines = [f"{into}:", sums.summary(into), *(f"• {note}" for note in notes)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
