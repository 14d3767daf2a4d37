"""What vouches for the files: their checksums, and a signature of those."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

SUMS = "SHA256SUMS"
KEY = "SIGNING_KEY"
"""The variable that turns signing on: a key of GnuPG, by fingerprint or address."""


def digest(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def files(folder: Path) -> list[Path]:
    """Return what is released, by name, without what vouches for it."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(SUMS))


def write(folder: Path) -> Path:
    """Write the checksums of all files, as `sha256sum --check` reads them."""
    lines = [f"{digest(file)}  {file.name}\n" for file in files(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return folder / SUMS


def sign(sums: Path) -> str:
    """Sign the checksums if a key is named; return a sentence that says what was done."""
    key = os.environ.get(KEY)
    if not key:
        return f"not signed: {KEY}=<fingerprint or address of a GnuPG key> signs {SUMS}"
    signature = sums.with_name(f"{SUMS}.asc")
    command = ["gpg", "--batch", "--yes", "--armor", "--detach-sign", "--local-user", key, "--output", str(signature)]
    subprocess.run([*command, str(sums)], check=True)
    return f"signed by {key}: gpg --verify {signature.name} {SUMS}"


def summary(folder: Path) -> str:
    """Return a line per file: its size in bytes, its checksum, its name."""
    rows = [(f"{file.stat().st_size:,}", digest(file), file.name) for file in files(folder)]
    return "\n".join(f"{size:>12}  {total}  {name}" for size, total, name in rows)
