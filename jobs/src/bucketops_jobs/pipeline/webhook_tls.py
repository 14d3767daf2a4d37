"""The certificate of the webhook, from a mounted Secret of type kubernetes.io/tls, loaded anew when it is rotated."""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError

log = logging.getLogger(__name__)

CERTIFICATE, KEY = "tls.crt", "tls.key"
Stamp = tuple[tuple[int, int], ...]


class Certificate:
    """Answers the TLS context of now. UserError at first if there is none; later the former one is kept, and told."""

    def __init__(self, root: Path, secret: str) -> None:
        self._secret, self._folder = secret, root / names.SECRETS_DIR / secret
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Two looks at files, and a load only where these are others."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._context = self._load()
                    log.info("the webhook's certificate was loaded anew", extra={"secret": self._secret})
                except UserError as error:
                    log.warning("the former certificate stays in use", extra={"why": str(error)})
            return self._context

    def _look(self) -> Stamp:
        try:
            found = [(self._folder / name).stat() for name in (CERTIFICATE, KEY)]
        except OSError:
            return ()
        return tuple((file.st_ino, file.st_mtime_ns) for file in found)

    def _load(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        missing = [name for name in (CERTIFICATE, KEY) if not (self._folder / name).is_file()]
        if missing:
            raise UserError(
                Reason.CREDENTIALS_MISSING,
                f"Secret {self._secret} has no key {' and '.join(missing)}: create it by `kubectl create secret tls`",
            )
        try:
            made.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY, password="")
        except (OSError, ValueError) as error:
            raise UserError(
                Reason.CREDENTIALS_MISSING,
                f"Secret {self._secret} holds no certificate with its private key, in PEM form and without a "
                f"passphrase ({type(error).__name__}): create it by `kubectl create secret tls`",
            ) from None
        return made
