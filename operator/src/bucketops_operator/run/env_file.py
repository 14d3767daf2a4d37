"""A Secret from a file of KEY=VALUE lines, as `kubectl create secret generic --from-env-file` reads it.

https://kubernetes.io/docs/reference/kubectl/generated/kubectl_create/kubectl_create_secret_generic/. Whatever stands in
such a file may be a secret, also where a key should stand, so errors name a line and quote nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bucketops_api import names
from bucketops_operator.run.data import ManifestError

_QUOTES = ('"', "'")


def env_file(name: str, file: Path) -> dict[str, str]:
    """Return keys and values; ManifestError names the line that is none. Values are taken as they stand."""
    what = f"--secret {name}={file}"
    found: dict[str, str] = {}
    for number, line in _lines(what, file):
        key, equals, value = line.partition("=")
        if not equals:
            raise ManifestError(f"{what}: line {number}: write KEY=VALUE; no '=' stands there")
        if not names.is_data_key(key):
            raise ManifestError(
                f"{what}: line {number}: before the '=' write a key of letters, digits, '-', '_' and '.' alone, "
                "without export or blanks; a value of several lines belongs into a Secret of the manifest"
            )
        if key in found:
            raise ManifestError(f"{what}: line {number}: {key} stands there for the second time: leave one out")
        if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
            raise ManifestError(
                f"{what}: line {number}: take the quotes off the value of {key}: as in kubectl, they would be a part "
                "of it (a value that has them belongs into a Secret of the manifest)"
            )
        found[key] = value
    return found


def _lines(what: str, file: Path) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers. A value may hold what Python, too, takes for an end of line."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ManifestError(f"{what}: this is no text in UTF-8: save it as such") from None
    except OSError as error:
        raise ManifestError(f"{what}: {error.strerror}") from None
    for number, whole in enumerate(text.split("\n"), start=1):
        line = whole.removesuffix("\r").lstrip()
        if line and not line.startswith("#"):
            yield number, line
