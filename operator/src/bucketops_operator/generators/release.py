"""The lines of files written by hand that name the version or the image: each is made anew from bucketops_api."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from bucketops_api import __version__
from bucketops_api.release import IMAGE, IMAGE_REPOSITORY, TAG
from bucketops_operator.generators import Files
from bucketops_operator.generators.chart import CHART

Rule = tuple[str, str]
"""A pattern, and what stands for it: neither spans lines."""

_ANY = r"[\w.+-]*\w"
_IMAGE: Rule = (rf"\b{re.escape(IMAGE_REPOSITORY)}:{_ANY}", IMAGE)
_FILES: Rule = (rf"\bbucketops(_api|_jobs|_operator)?-\d{_ANY}(?=-py3|\.tar\.gz)", rf"bucketops\1-{__version__}")
_PACKAGE: Rule = (r"\bbucketops(-chart)?-\d[\w.+-]*?(?=\.tgz|-image)", rf"bucketops\1-{TAG}")
RULES: dict[str, tuple[Rule, ...]] = {
    str(CHART / "Chart.yaml"): (
        (r"^version: .*$", f"version: {TAG}"),
        (r"^appVersion: .*$", f'appVersion: "{TAG}"'),
    ),
    str(CHART / "values.yaml"): ((r"^  repository: .*$", f"  repository: {IMAGE_REPOSITORY}"),),
    "Dockerfile": ((r"^ARG VERSION=.*$", f"ARG VERSION={TAG}"),),
    "*/pyproject.toml": ((r'"(bucketops(?:-\w+)?)(\[\w+\])?==[^"]*"', rf'"\1\2=={__version__}"'),),
    "manifests/examples/*.yaml": (_IMAGE,),
    "README.md": (_IMAGE, _FILES, _PACKAGE),
    "docs/*.md": (_IMAGE, _FILES, _PACKAGE),
}


def files(root: Path, made: Files) -> Files:
    """Return the files that the rules are about, as they should be; those that are `made` already are left out."""
    texts: Files = {}
    for glob, rules in RULES.items():
        for path in sorted(root.glob(glob)):
            name = PurePosixPath(path.relative_to(root))
            if name not in made:
                texts[name] = follow(path.read_text(encoding="utf-8"), rules)
    return texts


def follow(text: str, rules: Iterable[Rule]) -> str:
    """Return the text in which each line that a rule is about says the version of today."""
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text
