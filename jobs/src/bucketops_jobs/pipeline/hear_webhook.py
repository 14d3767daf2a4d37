"""Event JSON of S3 or MinIO, posted by HTTP with a secret; what is accepted is done, or left to the sweep."""

from __future__ import annotations

import hmac
import logging
import os
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.exifpipeline import WebhookEvents
from bucketops_jobs.errors import UserError
from bucketops_jobs.pipeline.desk import Desk
from bucketops_jobs.pipeline.notices import NoticeError, read
from bucketops_jobs.s3 import identity

log = logging.getLogger(__name__)

TOKEN = "token"  # noqa: S105 - the key in the Secret
LARGEST = 1 << 20
SILENCE_SECONDS = 10
_AGAIN_SECONDS = "5"


def hear(desk: Desk, spec: WebhookEvents) -> None:
    """Until told to stop; then no connection is taken any more."""
    _token(desk, spec)
    port = int(os.environ.get(names.ENV_WEBHOOK_PORT, names.WEBHOOK_PORT))
    with _Server(port, desk, spec) as server:
        threading.Thread(target=server.serve_forever, name="webhook", daemon=True).start()
        desk.listening = True
        log.info("listening", extra={"port": server.server_port})
        desk.context.engine.stop.wait()
        server.shutdown()


def _token(desk: Desk, spec: WebhookEvents) -> str:
    """Read anew each time: a Secret may change while we listen."""
    name = spec.secret_ref.name
    token = identity.secret(desk.context.root, name).get(TOKEN, "")
    if not token:
        raise UserError(
            Reason.CREDENTIALS_MISSING, f"Secret {name} has no key {TOKEN}: create it with a long random one"
        )
    return token


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, desk: Desk, spec: WebhookEvents) -> None:
        self.desk, self.spec = desk, spec
        super().__init__(("", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_SECONDS
    server_version, sys_version = "bucketops", ""

    def do_GET(self) -> None:
        """Probes, the kubelet's and MinIO's, ask whether anybody is there."""
        self._answer(HTTPStatus.OK)

    do_HEAD = do_GET  # noqa: N815 - the same

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length.isdecimal() else HTTPStatus.LENGTH_REQUIRED)
            return
        body = self.rfile.read(int(length))
        self._answer(self._accepted(body))

    def _accepted(self, body: bytes) -> HTTPStatus:
        wanted = f"Bearer {_token(self.server.desk, self.server.spec)}".encode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), wanted):
            return HTTPStatus.UNAUTHORIZED
        try:
            notices = read(body)
        except NoticeError as error:
            self.server.desk.context.tally.add("eventsUnread")
            log.warning("a request that is no event", extra={"why": str(error)})
            return HTTPStatus.BAD_REQUEST
        taken = [self.server.desk.tell(notice) for notice in notices]
        return HTTPStatus.ACCEPTED if all(taken) else HTTPStatus.SERVICE_UNAVAILABLE

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", _AGAIN_SECONDS)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet: what matters is counted."""
