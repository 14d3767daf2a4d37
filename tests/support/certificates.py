"""A certificate for a server on loopback, made by openssl: the server's own, and the CA that its clients must trust."""

from __future__ import annotations

import subprocess
from pathlib import Path

SUBJECT = "/CN=127.0.0.1"
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


def make(folder: Path) -> Path:
    """Write public.crt and private.key, as MinIO wants them named; the answer is the CA's file."""
    folder.mkdir(parents=True)
    key, certificate = folder / "private.key", folder / "public.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", SUBJECT]
    subprocess.run([*command, "-addext", NAMES, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate
