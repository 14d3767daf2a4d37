"""Latency between a client and a server, by toxiproxy: https://github.com/Shopify/toxiproxy#toxics."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers import built, free_port, start


@contextmanager
def delayed(port: int, milliseconds: int) -> Iterator[str]:
    """The URL of a server on loopback whose every answer comes so much later; 0: the server itself."""
    if not milliseconds:
        yield f"http://127.0.0.1:{port}"
        return
    control, listen = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [built("toxiproxy"), "-host", "127.0.0.1", "-port", str(control)]
        server = start(command, control, "/version", Path(folder, "toxiproxy.log"))
        try:
            proxy = {"name": "s3", "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{port}"}
            _post(control, "/proxies", proxy)
            _post(control, "/proxies/s3/toxics", {"type": "latency", "attributes": {"latency": milliseconds}})
            yield f"http://127.0.0.1:{listen}"
        finally:
            server.stop()


def _post(port: int, path: str, body: object) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request):  # noqa: S310 - our own server
        pass
