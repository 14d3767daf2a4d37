"""The Secret of a database as libpq's parameters: nothing in it is weakened; what cannot be followed is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.migration import Database
from bucketops_jobs.errors import UserError
from bucketops_jobs.migration import dsn, libpq
from bucketops_jobs.migration.dsn import Parameter

_URLS = ("DATABASE_URL", "uri")
_NEEDED = {"host": "PGHOST", "user": "PGUSER", "dbname": "PGDATABASE"}
_LONGEST_WAIT = 60
_SESSION = "settings of a session do not hold behind a pooler: ALTER ROLE … SET them, and leave it out"
_FILE = "a Secret names no file of the worker: leave it out"
_WHY = {"options": _SESSION, "service": _FILE, "servicefile": _FILE, "passfile": _FILE, "sslcrldir": _FILE}


class Refusal(Exception):  # noqa: N818 - a part of a sentence
    """What is wrong with one parameter, and what to write instead."""


def parameters(found: Mapping[str, str], root: Path, database: Database, ca: Path | None) -> dict[str, str]:
    """Return libpq's parameters; UserError names the key or the parameter that is wrong, and never its value.

    Parameters of a URL count before those of other keys, as libpq puts them before its environment variables.
    """
    name = database.credentials.secret_ref.name
    folder = root / names.SECRETS_DIR / name
    try:
        given = _given(found)
        taken = dict(_taken(given.values(), database))
        taken |= _tls(given, folder, database, ca)
        _require_ports(taken)
    except (dsn.DsnError, Refusal) as error:
        raise UserError(Reason.INVALID_SPEC, f"Secret {name} (database): {error}") from None
    _require_all(taken, found, name)
    return taken


def _given(found: Mapping[str, str]) -> dict[str, Parameter]:
    """All parameters by name."""
    key = next((key for key in _URLS if found.get(key)), None)
    url = _of_url(key, found[key]) if key else []
    plain = (
        Parameter(field, found[key], key) for key, field in (libpq.VARIABLES | libpq.PLAIN).items() if found.get(key)
    )
    given = {parameter.name: parameter for parameter in url}
    for parameter in plain:
        given.setdefault(parameter.name, parameter)
    return given


def _of_url(key: str, text: str) -> list[Parameter]:
    try:
        return [parameter._replace(said=f"{key}: {parameter.said}") for parameter in dsn.parse(text)]
    except dsn.DsnError as error:
        raise Refusal(f"{key}: {error}") from None


def _taken(given: Iterable[Parameter], database: Database) -> Iterator[tuple[str, str]]:
    for name, value, said in given:
        if name in libpq.TAKEN:
            if not libpq.fits(name, value):
                raise Refusal(f"{said} has a value that libpq does not know")
            yield name, value
        elif name in libpq.HARMLESS:
            _require(libpq.matches(name, value), said, "the migration writes to the primary: leave it out")
        elif name in libpq.SCHEMAS:
            own = {reference.schema_ for reference in database.references}
            _require(own == {value}, said, "it is another schema than that of spec.database.references: leave it out")
        elif name not in {*libpq.IGNORED, *libpq.FILES, *_TLS}:
            raise Refusal(f"{said} is not followed here: {_WHY.get(name, 'leave it out')}")


def _require(holds: bool, said: str, remedy: str) -> None:
    if not holds:
        raise Refusal(f"{said}: {remedy}")


def _require_ports(taken: dict[str, str]) -> None:
    """Require one port, or one for each host, as libpq does."""
    hosts, ports = (taken.get(name, "").split(",") for name in ("host", "port"))
    if len(ports) not in {1, len(hosts)}:
        raise Refusal("it names more ports than hosts, or fewer: name one for all hosts, or one for each")
    if taken.get("connect_timeout"):
        taken["connect_timeout"] = str(min(max(int(taken["connect_timeout"]), 1), _LONGEST_WAIT))


def _require_all(taken: Mapping[str, str], found: Mapping[str, str], name: str) -> None:
    missing = [key for field, key in _NEEDED.items() if not taken.get(field)]
    if "hostaddr" in taken and "PGHOST" in missing:
        missing.remove("PGHOST")
    if not missing:
        return
    key = next((key for key in _URLS if found.get(key)), None)
    which = f"{key} that names no" if key else "no"
    what = f"has {which} {', '.join(missing)}" if found else "does not exist"
    raise UserError(
        Reason.CREDENTIALS_MISSING,
        f"Secret {name} (database) {what}: create it with DATABASE_URL, or PGHOST, PGUSER, PGPASSWORD, PGDATABASE",
    )


_TLS = {"sslmode", "ssl", "requiressl"}


def _tls(given: Mapping[str, Parameter], folder: Path, database: Database, ca: Path | None) -> dict[str, str]:
    """The mode and the files: the stronger one of what Secret and spec want; a weaker spec is refused.

    Who names a CA and no mode wants the server verified: libpq's own default would not look at it.
    """
    files = dict(_files(given, folder, ca))
    secret = _mode(given) or ("verify-full" if files.get("sslrootcert") == libpq.SYSTEM else None)
    mode = database.ssl_mode or secret or ("verify-full" if "sslrootcert" in files else "prefer")
    if secret and _strength(mode) < _strength(secret):
        raise Refusal(
            f"spec.database.sslMode is weaker than what the Secret says ({secret}): leave it out, or change the Secret"
        )
    if files.get("sslrootcert") == libpq.SYSTEM and mode != "verify-full":
        raise Refusal("sslrootcert=system goes with sslmode=verify-full alone: write that, or name the CA")
    return {"sslmode": mode, **files}


def _mode(given: Mapping[str, Parameter]) -> str | None:
    """The strongest mode that the Secret asks for, in whatever words."""
    found = []
    for name in sorted(_TLS & given.keys()):
        _, value, said = given[name]
        if name == "requiressl":
            _require(value in {"0", "1"}, said, "write sslmode=require instead")
            value = "require" if value == "1" else "prefer"
        _require(value in libpq.MODES, said, f"write sslmode={'|'.join(libpq.MODES)} instead")
        found.append(value)
    return max(found, key=_strength, default=None)


def _strength(mode: str) -> int:
    return libpq.MODES.index(mode)


def _files(given: Mapping[str, Parameter], folder: Path, ca: Path | None) -> Iterator[tuple[str, str]]:
    """Files of TLS: keys of the Secret itself. A caBundle of the spec takes the place of sslrootcert."""
    if ca is not None:
        yield "sslrootcert", str(ca)
    for name in libpq.FILES:
        if name not in given or (name == "sslrootcert" and ca is not None):
            continue
        _, value, said = given[name]
        if name == "sslrootcert" and value == libpq.SYSTEM:
            yield name, value
            continue
        file = folder / value
        if "/" in value or value.startswith(".") or not file.is_file():
            instead = ", or name the CA in spec.database.caBundle" if name == "sslrootcert" else ""
            raise Refusal(f"{said} names no key of this Secret: put the file into it and write its key's name{instead}")
        yield name, _private(file.read_bytes()) if name == "sslkey" else str(file)


@cache
def _private(key: bytes) -> str:
    """A path to a key that its owner alone may read, as libpq demands; a mounted Secret is readable by the group.

    The file is in memory and goes with the process.
    """
    file = os.memfd_create("sslkey")
    os.fchmod(file, 0o600)
    os.write(file, key)
    return f"/proc/self/fd/{file}"
