"""YAML as people would write it, and as Helm can read it."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """No anchors, no aliases, lists indented below their key."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def to_yaml(value: Any, indent: int = 0, *, flow_leaves: bool = False) -> str:  # noqa: ANN401 - any YAML
    """`value` as YAML, in the order in which it was made; `flow_leaves`: lists of plain values on one line."""
    flow = None if flow_leaves else False
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, allow_unicode=True, width=110)
    return textwrap.indent(text, " " * indent)


def escaped(text: str) -> str:
    """`text` in which Helm sees no template action."""
    return text.replace("{{", '{{ "{{" }}')
