"""Latency on the way to a server: https://github.com/Shopify/toxiproxy."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.servers import Place
from support.servers import built, free_port, start


@contextmanager
def delayed(place: Place, milliseconds: int, folder: Path) -> Iterator[str]:
    """An endpoint whose answers arrive `milliseconds` later than the server's."""
    control, listen = free_port(), free_port()
    command = [built("toxiproxy"), "-host", "127.0.0.1", "-port", str(control)]
    server = start(command, control, "/version", folder / "toxiproxy.log", LOG_LEVEL="error")
    try:
        url = f"http://127.0.0.1:{control}/proxies"
        upstream = f"127.0.0.1:{place.server.port}"
        _post(url, {"name": "s3", "listen": f"127.0.0.1:{listen}", "upstream": upstream, "enabled": True})
        _post(f"{url}/s3/toxics", {"type": "latency", "attributes": {"latency": milliseconds}})
        yield f"http://127.0.0.1:{listen}"
    finally:
        server.stop()


def _post(url: str, what: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(what).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request):  # noqa: S310 - our own server
        pass
