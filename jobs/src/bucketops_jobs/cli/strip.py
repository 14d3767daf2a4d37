"""`bucketops strip`: clean copies of JPEG files on this machine, by the same rules as an ExifPipeline."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from bucketops_api import names
from bucketops_api.v1alpha1.scalars import parse_quantity
from bucketops_jobs.cli.strip_outcome import Outcome
from bucketops_jobs.exif import rotate
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Verdict

HELP = "write clean copies of JPEG files: no metadata, the coded image byte for byte as it was, or turned without loss"
EPILOG = """exit codes: 0 every file is clean; 1 some were refused or could not be read or written, the others are
clean; 64 the command itself must be changed, nothing was written. docs/exif.md: what is removed and kept, and why."""
EXIT_REFUSED = 1
Identity = tuple[int, int]
"""Device and inode."""


class UsageError(Exception):
    """The command must be changed; the message says how."""


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `strip` to the subcommands."""
    parser = commands.add_parser("strip", help=HELP, description=HELP, epilog=EPILOG)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a JPEG file; it is only read")
    parser.add_argument(
        "-d", "--output-dir", type=Path, required=True, metavar="DIR", help="where each clean file gets its own name"
    )
    _add_choice(
        parser,
        "--orientation",
        [Choice.KEEP, Choice.DROP, Choice.ROTATE],
        "Keep: a fresh EXIF with that tag alone; Rotate: the picture itself is turned, where that is lossless",
    )
    _add_choice(parser, "--icc-profile", [Choice.KEEP, Choice.DROP], "Keep: colours stay as they are")
    _add_choice(
        parser, "--hdr-gain-map", [Choice.DROP, Choice.KEEP], "Keep: Ultra HDR pictures stay so, with fresh metadata"
    )
    parser.add_argument(
        "--max-object-bytes",
        type=_size,
        default=Options.max_bytes,
        metavar="SIZE",
        help="larger files are refused (512Mi)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    parser.set_defaults(run=run)


def _add_choice(parser: argparse.ArgumentParser, name: str, choices: list[Choice], text: str) -> None:
    """An option whose default is the first of its choices."""
    told = f"{text} (default {choices[0]})"
    parser.add_argument(name, type=_among(choices), default=choices[0], metavar="|".join(choices), help=told)


def _among(choices: list[Choice]) -> Callable[[str], Choice]:
    def choice(text: str) -> Choice:
        if text.capitalize() not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return Choice(text.capitalize())

    return choice


def _size(text: str) -> int:
    try:
        return parse_quantity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(parsed: argparse.Namespace) -> int:
    """Strip, tell, answer the exit code."""
    options = Options(
        orientation=parsed.orientation,
        icc_profile=parsed.icc_profile,
        hdr_gain_map=parsed.hdr_gain_map,
        max_bytes=parsed.max_object_bytes,
    )
    try:
        _can_rotate(options)
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


def _can_rotate(options: Options) -> None:
    if options.orientation is Choice.ROTATE and not rotate.program():
        raise UsageError(f"--orientation Rotate needs {rotate.HOW_TO_GET_IT}")


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
