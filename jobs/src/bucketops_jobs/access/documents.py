"""Policies as providers hand them back."""

from __future__ import annotations

import json


def same_document(one: object, other: object) -> bool:
    """Return whether two policies say the same: order, repetition and the names of statements say nothing."""
    return _canonical(one) == _canonical(other)


def _canonical(node: object) -> object:
    """Lists are sets in a policy, and one text is a list of one."""
    if isinstance(node, dict):
        return {key: _canonical(_listed(key, value)) for key, value in node.items() if key != "Sid"}
    if isinstance(node, list | tuple):
        texts = {json.dumps(_canonical(child), sort_keys=True) for child in node}
        return sorted(texts)
    return node


def _listed(key: str, value: object) -> object:
    return [value] if isinstance(value, str) and key not in {"Effect", "Version"} else value
