"""A MinIO that dies, freezes and comes back, on the same folder and port."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from support.proxy import Request
from support.servers import Server, start_minio


class MortalStore:
    """One server; clients find it where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Server = start_minio(folder)
        self._frozen, self._asked, self.asked_again = threading.Event(), set[str](), 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def restart(self) -> None:
        """SIGKILL, and start again."""
        self._server.process.kill()
        self._server.process.wait()
        self._server = start_minio(self._folder, port=self._server.port)

    def freeze(self, seconds: float) -> None:
        """It keeps its connections and says nothing for so long."""
        self._server.process.send_signal(signal.SIGSTOP)
        self._frozen.set()
        threading.Timer(seconds, self._thaw).start()

    def _thaw(self) -> None:
        self._frozen.clear()
        self._server.process.send_signal(signal.SIGCONT)

    def watch(self, request: Request) -> None:
        """A rule: counts requests that come a second time while it is frozen."""
        if self._frozen.is_set():
            asked = f"{request.method} {request.path}"
            self.asked_again += asked in self._asked
            self._asked.add(asked)

    def stop(self) -> None:
        self._server.process.send_signal(signal.SIGCONT)
        self._server.stop()
