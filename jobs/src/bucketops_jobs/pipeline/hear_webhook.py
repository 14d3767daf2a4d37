"""Event JSON of S3 or MinIO, posted by HTTP with a token; what is accepted is done, or left to the sweep."""

from __future__ import annotations

import logging
import os
from http import HTTPStatus

from bucketops_api import counts, names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.exifpipeline import WebhookEvents
from bucketops_jobs.errors import UserError
from bucketops_jobs.pipeline.desk import Desk
from bucketops_jobs.pipeline.notices import NoticeError, read
from bucketops_jobs.pipeline.webhook_request import Head, RequestError, body_length, require_token
from bucketops_jobs.pipeline.webhook_server import Body, Server
from bucketops_jobs.pipeline.webhook_tls import Certificate
from bucketops_jobs.s3 import identity

log = logging.getLogger(__name__)

TOKEN = "token"  # noqa: S105 - the key in the Secret
_LOOK_SECONDS = 1.0
_PROBES = frozenset({"GET", "HEAD"})


def hear(desk: Desk, spec: WebhookEvents) -> None:
    """Listen until told to stop. UserError when the token's Secret goes away: the resource then says so."""
    webhook, stop = Webhook(desk, spec), desk.context.engine.stop
    webhook.token()
    certificate = Certificate(desk.context.root, spec.tls.secret_ref.name).context if spec.tls else lambda: None
    port = int(os.environ.get(names.ENV_WEBHOOK_PORT, names.WEBHOOK_PORT))
    with Server(port, webhook.answer, certificate) as server:
        desk.listening = True
        log.info("listening", extra={"port": server.port, "tls": spec.tls is not None})
        while not stop.wait(_LOOK_SECONDS):
            webhook.token()


class Webhook:
    """Answers requests: the token is looked at before anything else that the sender has said."""

    def __init__(self, desk: Desk, spec: WebhookEvents) -> None:
        self._desk, self._spec = desk, spec

    def token(self) -> str:
        """Return the token of now, for a Secret may change while we listen; UserError where there is none."""
        name = self._spec.secret_ref.name
        found = identity.secret(self._desk.context.root, name).get(TOKEN, "")
        if not found:
            raise UserError(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has no key {TOKEN}: create it with a long random one; nothing posted is accepted "
                "without it",
            )
        return found

    def answer(self, head: Head, body: Body) -> HTTPStatus:
        """Probes, the kubelet's and MinIO's, ask without a token whether anybody is there."""
        if head.method in _PROBES:
            return HTTPStatus.OK
        if head.method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        try:
            require_token(head, self.token())
        except UserError as error:
            log.error("a request was refused", extra={"why": str(error)})  # noqa: TRY400 - it is the user's to change
            return HTTPStatus.SERVICE_UNAVAILABLE
        return self._accepted(body(body_length(head)))

    def _accepted(self, text: bytes) -> HTTPStatus:
        context = self._desk.context
        if context.engine.stop.is_set():
            return HTTPStatus.SERVICE_UNAVAILABLE
        try:
            notices = read(text)
        except NoticeError as error:
            context.tally.add(counts.EVENTS_UNREAD)
            log.warning("a request that is no event", extra={"why": str(error)})
            raise RequestError(HTTPStatus.BAD_REQUEST) from None
        taken = [self._desk.tell(notice) for notice in notices]
        return HTTPStatus.ACCEPTED if all(taken) else HTTPStatus.SERVICE_UNAVAILABLE
