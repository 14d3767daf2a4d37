"""What a visitor's browser does: plain GETs, without a key. It shares nothing with the workers' own S3 client."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit

from bucketops.demo.site import LEGACY, WrongError
from bucketops_api.v1alpha1.migration import MigrationSpec

_OK, _UNAVAILABLE = 200, 500
_SECONDS = 10


class Browser:
    """Gets pictures, over one connection. Not for several threads."""

    def __init__(self, endpoint: str, spec: MigrationSpec) -> None:
        self._http = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=_SECONDS)
        self._legacy, self._modern = spec.source.bucket, spec.destination.bucket

    def fetch(self, path: str) -> bytes:
        """Return the picture of a path; WrongError: the store has none; ConnectionError: it does not answer."""
        bucket = self._legacy if path.startswith(LEGACY) else self._modern
        try:
            self._http.request("GET", f"/{bucket}/{quote(path)}")
            answer = self._http.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise ConnectionError(path) from error
        if answer.status >= _UNAVAILABLE:
            raise ConnectionError(path)
        if answer.status != _OK:
            raise WrongError(str(answer.status))
        return body
