"""Counts of running workers, read from the Prometheus metrics that they serve."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from bucketops_api import counts, names

_TIMEOUT = 2.0
_AT_ONCE = 16
_MOST_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)
_PATH = f"/metrics?{urlencode([('name[]', name) for name in counts.METRICS])}"
"""For the counts alone (a way of prometheus_client's): all that a worker measures is ten times as much to parse."""


def live_counts(addresses: Iterable[str], port: int = names.METRICS_PORT) -> dict[str, int]:
    """The sum of the counts that pods at these addresses show. One that does not answer in 2 s adds nothing."""
    whole = list(addresses)
    if not whole:
        return {}
    with ThreadPoolExecutor(min(_AT_ONCE, len(whole)), thread_name_prefix="scrape") as pool:
        found: dict[str, int] = {}
        for more in pool.map(lambda address: _read(address, port), whole):
            found = counts.add(found, more)
        return found


def parse(text: str) -> dict[str, int]:
    """The counts among Prometheus metrics in text form; metrics of another meaning are left out."""
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = counts.from_metric(sample.name, sample.labels)
            if name is not None:
                found = counts.add(found, {name: int(sample.value)})
    return found


def _read(address: str, port: int) -> dict[str, int]:
    """Live counts are for show: the pod's result is exact, so any trouble here is worth no more than a debug line."""
    connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", _PATH)
        return parse(connection.getresponse().read(_MOST_BYTES).decode())
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        _LOG.debug("worker metrics not read", extra={"address": address, "error": str(error)})
        return {}
    finally:
        connection.close()
