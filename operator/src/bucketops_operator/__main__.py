"""The operator process."""

from __future__ import annotations

import logging

import kopf
from prometheus_client import start_http_server

from bucketops_api import logs
from bucketops_operator import handlers, rest
from bucketops_operator.cluster import Cluster
from bucketops_operator.controller import Controller
from bucketops_operator.objects import VERSION
from bucketops_operator.settings import from_environment

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM."""
    settings = from_environment()
    logs.setup(settings.log_format)
    _LOG.info("operator starts", extra={"version": VERSION, "namespaces": settings.namespaces or "all"})
    controller = Controller(settings, Cluster(rest.connect()))
    start_http_server(settings.metrics_port, registry=controller.metrics.registry)
    handlers.register(controller, settings)
    kopf.run(
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.probe_port}/healthz",
    )


if __name__ == "__main__":
    main()
