"""YAML in which each key stands once, as the API server wants it: of two values nobody knows which one holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """A safe loader to which a key that stands twice is an error, with the line of the second one."""

    def compose_mapping_node(self, anchor: Any) -> Any:  # noqa: ANN401 - a node, and yaml has no types for it
        node = super().compose_mapping_node(anchor)
        seen = set[tuple[str, str]]()
        for key, _ in node.value:
            named = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if named in seen and key.tag != _MERGE:
                raise yaml.composer.ComposerError(None, None, "a key stands here for the second time", key.start_mark)
            seen |= {named} if named else set()
        return node


def read_yaml(text: str) -> Iterator[Any]:
    """Yield the documents of a text; yaml.YAMLError where it is none."""
    return yaml.load_all(text, _Loader)
