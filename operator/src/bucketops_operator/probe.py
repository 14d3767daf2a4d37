"""The answer to the kubelet's probes: whether the world is seen, and whether Kopf's event loop still turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from bucketops_api.serving import App
from bucketops_operator.controller import Controller

LOOP_SECONDS = 5.0
"""An event loop that does not turn for so long is stuck; the probe itself waits for 10."""


def app(controller: Controller) -> App:
    """A WSGI application: 200 when all is well, else 500 and what is not."""

    def answer(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        problems = problems_of(controller)
        start("500 Internal Server Error" if problems else "200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return ["; ".join(problems or ["ok"]).encode()]

    return answer


def problems_of(controller: Controller) -> list[str]:
    """Say what is dead; empty when all is well."""
    if controller.loop is None:
        return ["the operator has not started yet"]
    turned = threading.Event()
    controller.loop.call_soon_threadsafe(turned.set)
    stuck = [] if turned.wait(LOOP_SECONDS) else [f"the event loop has not turned for {LOOP_SECONDS:.0f} s"]
    return [*controller.problems(), *stuck]
