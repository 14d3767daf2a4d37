"""The watches, by Kopf: decorators and the smallest glue.

Events only mark resources. There are no change handlers, timers, daemons or indexes: those write annotations and
finalizers on objects, or keep memories of their own; see https://docs.kopf.dev/en/stable/reconciliation/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from bucketops_api import names
from bucketops_api.v1alpha1 import GROUP, VERSION
from bucketops_operator.controller import CHILDREN, Controller
from bucketops_operator.settings import Settings

_REQUEST_SECONDS, _CONNECT_SECONDS = 60, 10
_EXIT_SECONDS = 30
_PAGE = 500


def register(controller: Controller, settings: Settings) -> None:
    """Tell Kopf what to watch, and whom to tell."""
    tasks: set[asyncio.Task[None]] = set()

    @kopf.on.startup()
    async def start(settings: kopf.OperatorSettings, **_: object) -> None:
        configure(settings, scanning=not watched_namespaces)
        controller.loop = asyncio.get_running_loop()
        tasks.add(asyncio.create_task(controller.run(), name="look"))

    @kopf.on.cleanup()
    async def stop(**_: object) -> None:
        for task in tasks:
            task.cancel()
        await controller.stop()

    watched_namespaces = settings.namespaces
    for kind in settings.kinds():
        kopf.on.event(GROUP, VERSION, kind.plural, id=kind.name)(_on_resource(controller, kind.name))
    for api_version, plural in CHILDREN:
        kopf.on.event(*api_version.rpartition("/")[::2], plural, id=plural)(_on_child(controller))


def configure(settings: kopf.OperatorSettings, *, scanning: bool) -> None:
    """Set what Kopf may do: no Events of its own, no peers, no list of the whole cluster's Jobs and pods.

    `scanning` False: the operator may list neither namespaces nor CustomResourceDefinitions.
    """
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = not scanning
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.chunk_size = _PAGE
    settings.process.ultimate_exiting_timeout = _EXIT_SECONDS
    for api_version, plural in CHILDREN:
        key = (*api_version.rpartition("/")[::2], plural)
        settings.watching.label_selectors[key] = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"


Handler = Callable[..., Awaitable[None]]


def _on_resource(controller: Controller, kind: str) -> Handler:
    async def saw(event: dict[str, Any], **_: object) -> None:
        controller.saw_resource(kind, event["object"]["metadata"], deleted=event["type"] == "DELETED")

    return saw


def _on_child(controller: Controller) -> Handler:
    async def saw(event: dict[str, Any], **_: object) -> None:
        controller.saw_child(event["object"]["metadata"], deleted=event["type"] == "DELETED")

    return saw
