"""The operator process."""

from __future__ import annotations

import logging

import kopf
from prometheus_client import make_wsgi_app

from bucketops_api import __version__, listening, logs, serving
from bucketops_operator import handlers, probe, rest
from bucketops_operator.cluster import Cluster
from bucketops_operator.controller import Controller
from bucketops_operator.settings import from_environment

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM."""
    settings = from_environment()
    logs.setup(settings.log_format)
    _LOG.info("operator starts", extra={"version": __version__, "namespaces": settings.namespaces or "all"})
    controller = Controller(settings, Cluster(rest.connect()))
    serving.serve(make_wsgi_app(controller.metrics.registry), listening.bind(settings.metrics_port))
    serving.serve(probe.app(controller), listening.bind(settings.probe_port))
    handlers.register(controller, settings)
    kopf.run(
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )


if __name__ == "__main__":
    main()
