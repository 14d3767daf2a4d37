"""The privileges of every kind, for `bucketops policy` and the documents. A new kind is a line here."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from bucketops_api.privileges.parts import Owner, Part

PRIVILEGES: Mapping[str, str] = {
    "S3Migration": "bucketops_api.privileges.migration:parts",
    "S3Access": "bucketops_api.privileges.access:parts",
    "S3Retention": "bucketops_api.privileges.retention:parts",
    "ExifPipeline": "bucketops_api.privileges.exifpipeline:parts",
}
"""Whoever asks for one kind imports that alone, and whoever asks which there are imports none."""


def parts_of(kind: str, spec: Any, owner: Owner) -> Sequence[Part]:  # noqa: ANN401 - each kind has a spec of its own
    """Return what a resource of a kind needs."""
    found: Sequence[Part] = pkgutil.resolve_name(PRIVILEGES[kind])(spec, owner)
    return found
