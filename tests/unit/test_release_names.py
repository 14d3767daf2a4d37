"""What a version is called elsewhere, and which lines of files follow it."""

from __future__ import annotations

import pytest

from bucketops_api import __version__
from bucketops_api.release import IMAGE, TAG, semver
from bucketops_operator.generators import release as rules


@pytest.mark.parametrize(
    ("python", "others"),
    [
        ("0.1.0", "0.1.0"),
        ("10.20.30", "10.20.30"),
        ("1.2.3rc4", "1.2.3-rc.4"),
        ("1.2.3a0", "1.2.3-alpha.0"),
        ("1.2.3b12.dev7", "1.2.3-beta.12.dev.7"),
        ("1.2.3.dev5", "1.2.3-dev.5"),
    ],
)
def test_a_version_of_python_as_helm_and_registries_write_it(python: str, others: str) -> None:
    assert semver(python) == others


@pytest.mark.parametrize(
    "version", ["", "1.2", "v1.2.3", "1.2.3-rc.1", "1.2.3.post1", "1.2.3+local", "1!1.2.3", "1.2.3\n"]
)
def test_a_version_without_a_counterpart_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match=r"write 1\.2\.3"):
        semver(version)


@pytest.mark.parametrize(
    ("file", "line", "today"),
    [
        ("charts/bucketops/Chart.yaml", 'version: 0.0.1\nappVersion: "0.0.1"', f'version: {TAG}\nappVersion: "{TAG}"'),
        ("charts/bucketops/values.yaml", "  repository: elsewhere", "  repository: ghcr.io/bucketops/bucketops"),
        ("Dockerfile", "ARG VERSION=0.0.1-rc.1", f"ARG VERSION={TAG}"),
        (
            "*/pyproject.toml",
            '["bucketops-jobs[x]==0.0.1", "x==0.0.1"]',
            f'["bucketops-jobs[x]=={__version__}", "x==0.0.1"]',
        ),
        ("manifests/examples/*.yaml", "image: ghcr.io/bucketops/bucketops:0.0.1-rc.1", f"image: {IMAGE}"),
        (
            "README.md",
            "bucketops-chart-0.0.1.tgz or bucketops-0.0.1rc1-py3",
            f"bucketops-chart-{TAG}.tgz or bucketops-{__version__}-py3",
        ),
        ("docs/*.md", "`bucketops_api-0.0.1.tar.gz` of 0.0.1.", f"`bucketops_api-{__version__}.tar.gz` of 0.0.1."),
        ("docs/*.md", "bucketops-0.0.1-image-linux-amd64.oci.tar", f"bucketops-{TAG}-image-linux-amd64.oci.tar"),
    ],
)
def test_a_line_that_names_the_version_follows_and_nothing_else_does(file: str, line: str, today: str) -> None:
    assert rules.follow(line, rules.RULES[file]) == today
