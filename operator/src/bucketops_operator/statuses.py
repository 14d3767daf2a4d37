"""A resource's own status, read back. Whoever may edit it may write what the schema takes and no run has said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from bucketops_api import names
from bucketops_api.v1alpha1.common import Status
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.errors import UnreadableStatusError
from bucketops_operator.executor import Resource

_YEARS = range(1970, 9000)
"""Of times that can be reckoned with; the schema takes the years from 0 to 9999."""


def known(resource: Resource) -> Status:
    """Return a resource's status; UnreadableStatusError names the first field that nobody can go on from."""
    try:
        status = KINDS[resource.kind].status.model_validate(resource.status)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _unreadable(resource, ".".join(map(str, first["loc"])), first["msg"]) from None
    for where, when in _times(status.model_dump(), ""):
        if when.tzinfo is None or when.year not in _YEARS:
            raise _unreadable(resource, where, f"{when} is no time of ours")
    for number, run in enumerate(status.runs):
        if not names.is_run_name(run.id):
            raise _unreadable(resource, f"runs.{number}.id", f"{run.id!r} is no run")
    return status


def _times(node: object, where: str) -> Iterator[tuple[str, datetime]]:
    if isinstance(node, datetime):
        yield where, node
    elif isinstance(node, Mapping | list | tuple):
        inner: Any = node.items() if isinstance(node, Mapping) else enumerate(node)
        for name, child in inner:
            yield from _times(child, f"{where}.{name}" if where else str(name))


def _unreadable(resource: Resource, where: str, why: str) -> UnreadableStatusError:
    return UnreadableStatusError(
        f"status.{where} cannot be read ({why}): somebody has edited the status, and nothing is done before it is "
        f"mended: kubectl edit --subresource=status {resource.kind.lower()} {resource.name}"
    )
