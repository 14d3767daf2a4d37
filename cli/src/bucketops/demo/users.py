"""Who runs the servers: PostgreSQL refuses to be root, so root lets `nobody` run it."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

from bucketops.demo.errors import DemoError

User = tuple[int, ...]
"""User and group by number; empty: as whoever runs the demo."""
_TRAVERSE = 0o001


def of_servers() -> User:
    """Return who runs what must not be root."""
    if os.geteuid():
        return ()
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


def temporary_folder() -> Path:
    """Return where temporary files go: $TMPDIR, or a folder that the servers' user can reach; DemoError if none is."""
    places = [Path(place) for place in (tempfile.gettempdir(), "/tmp", "/var/tmp")]  # noqa: S108 - with a name of its own
    for place in places:
        if not of_servers() or all(part.stat().st_mode & _TRAVERSE for part in (place, *place.resolve().parents)):
            return place
    raise DemoError(
        f"user nobody, who runs PostgreSQL for root, cannot reach {places[0]}: set TMPDIR to another folder"
    )
