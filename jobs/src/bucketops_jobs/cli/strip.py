"""`bucketops strip`: clean copies of JPEG files on this machine, by the same rules as an ExifPipeline."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from bucketops_api import names
from bucketops_api.v1alpha1.scalars import parse_quantity
from bucketops_jobs.cli.strip_outcome import Outcome
from bucketops_jobs.exif import rotate
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Verdict

EXIT_REFUSED = 1
Identity = tuple[int, int]
"""Device and inode."""


class UsageError(Exception):
    """The command must be changed; the message says how."""


def run(parsed: argparse.Namespace) -> int:
    """Strip, tell, answer the exit code."""
    try:
        options = _options(parsed)
        inputs = _checked(parsed.files, parsed.output_dir)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return names.EXIT_USER
    told: Counter[bool] = Counter()
    for outcome in _outcomes(parsed.files, inputs, parsed.output_dir, options):
        clean = outcome.output is not None
        told[clean] += 1
        print(outcome.json() if parsed.json else outcome.sentence(), flush=True)
    sys.stderr.write(f"{told[True]} clean, {told[False]} not\n")
    return EXIT_REFUSED if told[False] else names.EXIT_DONE


def _options(parsed: argparse.Namespace) -> Options:
    try:
        max_bytes = parse_quantity(parsed.max_object_bytes)
    except ValueError as error:
        raise UsageError(f"--max-object-bytes: {error}") from error
    if parsed.orientation is Choice.ROTATE and not rotate.program():
        raise UsageError(f"--orientation Rotate needs {rotate.HOW_TO_GET_IT}")
    return Options(
        orientation=parsed.orientation,
        icc_profile=parsed.icc_profile,
        hdr_gain_map=parsed.hdr_gain_map,
        max_bytes=max_bytes,
    )


def _checked(files: Sequence[Path], folder: Path) -> set[Identity]:
    """The identities of the inputs, none of which may be written over; UsageError before anything is done."""
    double = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    if double:
        raise UsageError(
            f"two files are named {double[0]!r} and would become one in {folder}: strip them in two commands"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output-dir {folder} cannot be used: {error.strerror}") from error
    for file in files:
        if file.parent.resolve() == folder.resolve():
            raise UsageError(f"{file} lies in --output-dir and would be written over: choose another folder")
    return {identity for file in files if (identity := _identity(file))}


def _identity(file: Path) -> Identity | None:
    """None where there is no such file, or none that we may see."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _outcomes(files: Sequence[Path], taken: set[Identity], folder: Path, options: Options) -> Iterator[Outcome]:
    for file in files:
        target = folder / file.name
        if _identity(target) in taken:  # by a link, or where a and A are one name
            yield Outcome(file, error=f"{target} is an input or another result and would be written over")
            continue
        try:
            verdict = _one(file, target, options)
        except OSError as error:
            yield Outcome(file, error=f"{error.filename or file}: {error.strerror or error}")
            continue
        if verdict.clean and (identity := _identity(target)):
            taken.add(identity)
        yield Outcome(file, target if verdict.clean else None, verdict)


def _one(file: Path, target: Path, options: Options) -> Verdict:
    """The clean file appears under its name whole, or not at all."""
    with _open(file) as source:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        try:
            with open(handle, "w+b") as part:  # noqa: PTH123 - a file descriptor
                verdict = strip(source, part, options)
                if verdict.clean:
                    part.flush()
                    os.fchmod(handle, 0o666 & ~_umask())
                    os.fsync(handle)
                    Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    return verdict


def _open(file: Path) -> BinaryIO:
    """Regular files only: a pipe could make us wait without end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(0, "is no regular file", str(file))
    return file.open("rb")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
