"""Secrets and ConfigMaps of a file, under the rules that the API server has for them.

Names and keys become paths: https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from bucketops_api import names

Data = Mapping[str, Mapping[str, str]]
"""By name of a Secret or ConfigMap, its keys and values."""


class ManifestError(Exception):
    """The file cannot be run; the message says what to write instead."""


def data_of(documents: Iterable[Mapping[str, Any]], kind: str) -> dict[str, dict[str, str]]:
    """Return by name what all objects of a kind hold: `data` of a Secret is base64, `stringData` is plain."""
    found: dict[str, dict[str, str]] = {}
    for document in documents:
        if document.get("kind") == kind:
            name = _name(document, kind)
            if name in found:
                raise ManifestError(f"{kind} {name} stands in the file twice: leave the one out that does not hold")
            found[name] = _values(document, kind)
    return found


def require_key(key: str, what: str) -> None:
    """ManifestError unless a key is one that Kubernetes takes: it is the name of a file in the worker's folder.

    What stands there is not shown: it may be a value, after a typing error.
    """
    if not names.is_data_key(key):
        raise ManifestError(f"{what}: a key is none: write letters, digits, '-', '_' and '.' alone")


def require_name(name: str, what: str) -> str:
    """Return the name of an object if it is one that Kubernetes takes; ManifestError otherwise."""
    if not names.is_object_name(name):
        raise ManifestError(f"{what}: {name[:50]!r} is no name: write lower-case letters, digits, '-' and '.' alone")
    return name


def _name(document: Mapping[str, Any], kind: str) -> str:
    return require_name(str((document.get("metadata") or {}).get("name", "")), f"{kind}: metadata.name")


def _values(document: Mapping[str, Any], kind: str) -> dict[str, str]:
    what = f"{kind} {document['metadata']['name']}"
    plain, coded = _mapping(document, "stringData", what), _mapping(document, "data", what)
    if kind != "Secret":
        return coded
    return {key: _decoded(value, f"{what}: data.{key}") for key, value in coded.items()} | plain


def _mapping(document: Mapping[str, Any], field: str, what: str) -> dict[str, str]:
    found = document.get(field) or {}
    if not isinstance(found, Mapping):
        raise ManifestError(f"{what}: {field}: write keys and values")
    for key, value in found.items():
        require_key(str(key), f"{what}: {field}")
        if not isinstance(value, str):
            raise ManifestError(f"{what}: {field}.{key} is no text: write it in quotes")
    return {str(key): value for key, value in found.items()}


def _decoded(value: str, what: str) -> str:
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ManifestError(f"{what}: write base64 of UTF-8 text, or put the text under stringData") from None
