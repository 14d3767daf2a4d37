"""What a release is called: its version as Python, Kubernetes and registries write it, and its image."""

from __future__ import annotations

import re

from bucketops_api import __version__

IMAGE_REPOSITORY = "ghcr.io/bucketops/bucketops"
"""Where the image of a release is, with its registry: no container engine adds one of its own."""
HOME = "https://github.com/bucketops/bucketops"

_PYTHON = re.compile(r"(\d+\.\d+\.\d+)(?:(a|b|rc)(\d+))?(?:\.(dev)(\d+))?")
_WORDS = {"a": "alpha", "b": "beta", "rc": "rc", "dev": "dev"}


def semver(version: str) -> str:
    """Return a version of Python (PEP 440) as SemVer 2 writes it, as Helm and registries want: 1.2.0rc1 is 1.2.0-rc.1.

    Raises ValueError for what has no counterpart there, such as 1.2, 1.2.0.post1 or 1.2.0+local.
    """
    found = _PYTHON.fullmatch(version)
    if not found:
        raise ValueError(f"{version} is no version of a release: write 1.2.3, 1.2.3rc1, 1.2.3a1, 1.2.3b1 or 1.2.3.dev1")
    number, before, count, dev, of_dev = found.groups()
    parts = [f"{_WORDS[word]}.{int(of)}" for word, of in ((before, count), (dev, of_dev)) if word]
    return "-".join([number, *filter(None, [".".join(parts)])])


TAG = semver(__version__)
"""Of the image, and the version of the chart."""
IMAGE = f"{IMAGE_REPOSITORY}:{TAG}"
