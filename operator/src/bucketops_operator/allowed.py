"""What the cluster's owner allows in resources, by the chart's value `allowed`: lists of names with `*` in them. Pure.

The chart's ValidatingAdmissionPolicy refuses at admission what these lists do not hold; the operator looks again, for
clusters without the policy and for resources that are older than it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_snake

_WORD = "[A-Za-z0-9._-]*"
"""What a `*` stands for: no slash, so that `*` is a key without a prefix and `example.com/*` any key with that one."""
_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = "(:[0-9]{1,5})?/?"


@dataclass(frozen=True)
class Allowed:
    """One list per field of a resource that reaches beyond it."""

    service_accounts: tuple[str, ...] = ()
    """`name`, or `namespace/name`."""
    priority_classes: tuple[str, ...] = ()
    tolerations: tuple[str, ...] = ()
    """Keys of taints."""
    endpoints: tuple[str, ...] = ("https://*", "http://*.svc", "http://*.svc.cluster.local")
    """Of buckets, admins, queues and proxies; one without a port allows every port."""
    labels: tuple[str, ...] = ("team", "owner", "project", "environment", "cost-center")
    annotations: tuple[str, ...] = ("*",)


EVERYTHING = Allowed(
    service_accounts=("*", "*/*"),
    priority_classes=("*",),
    tolerations=("*", "*/*"),
    endpoints=("https://*", "http://*"),
    labels=("*", "*/*"),
    annotations=("*", "*/*"),
)
"""On a machine of one's own: there is nobody else to protect."""


def read(text: str) -> Allowed:
    """Return the lists of the chart's value as JSON; a list that is absent has its default."""
    given: Mapping[str, Iterable[str]] = json.loads(text)
    known = {field: given[name] for name in given if (field := to_snake(name)) in Allowed.__dataclass_fields__}
    return Allowed(**{field: tuple(names) for field, names in known.items()})


def holds(names: Iterable[str], name: str) -> bool:
    """Return whether one of the entries stands for this name."""
    return any(re.fullmatch(_pattern(entry), name) for entry in names)


def holds_endpoint(entries: Iterable[str], endpoint: str) -> bool:
    """Return whether one of the entries stands for this endpoint, which is a scheme, a host, and perhaps a port."""
    return any(re.fullmatch(_endpoint_pattern(entry), endpoint) for entry in entries)


def _pattern(entry: str) -> str:
    return re.escape(entry).replace(r"\*", _WORD)


def _endpoint_pattern(entry: str) -> str:
    if entry.endswith("://*"):
        return re.escape(entry[:-1]) + _HOST + _PORT
    port = "/?" if re.search(r":[0-9*]+$", entry) else _PORT
    return _pattern(entry) + port


def endpoints(spec: Any) -> Iterable[tuple[str, str]]:  # noqa: ANN401 - any part of a spec
    """Yield every endpoint that a spec names, with the path of its field; a queue's URL counts by its host."""
    yield from _endpoints(spec, "")


def _endpoints(node: object, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            where = f"{path}.{key}" if path else key
            if key == "endpoint" and isinstance(value, str):
                yield where, value
            elif key == "queueUrl" and isinstance(value, str):
                yield where, "/".join(value.split("/")[:3])
            else:
                yield from _endpoints(value, where)
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _endpoints(child, f"{path}[{index}]")
