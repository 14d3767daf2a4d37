"""The stripper's rate per core against exiftool's, which runs all the time (-stay_open), so that Perl starts once.

Both read each file from a folder and write a clean one to another; ours is also read again and proved. CPU seconds are
those of the process that does the work: ours include this harness, exiftool's leave it out.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from bench import report
from bench.contenders import OURS
from bench.ratios import paired, rotated, spread
from bucketops_jobs.exif.strip import strip
from support import corpus

LARGEST = 20
"""Files of the corpus that stand for a phone's pictures: the larger, the more it is the rate per byte that counts."""
EXIFTOOL = {
    "exiftool -all=": ["-all="],
    "exiftool, ICC and orientation kept": [
        "-fast2",
        "-all=",
        "--icc_profile:all",
        "-tagsfromfile",
        "@",
        "-orientation",
    ],
}
"""The first does less than we do: profile and orientation are lost. The second makes what we make."""


class Contender(Protocol):
    """Strips files, one after the other."""

    def strip(self, source: str, target: str) -> None: ...

    def cpu(self) -> float: ...


class Bucketops:
    """In this process, on one thread."""

    def strip(self, source: str, target: str) -> None:
        with open(source, "rb") as file, open(target, "w+b") as sink:  # noqa: PTH123 - as quick as can be
            strip(file, sink)

    def cpu(self) -> float:
        return time.process_time()


class Exiftool:
    """One process for all files."""

    def __init__(self, arguments: Sequence[str], pipe: subprocess.Popen[str]) -> None:
        assert pipe.stdin
        assert pipe.stdout
        self._arguments = arguments
        self._in: IO[str] = pipe.stdin
        self._out: IO[str] = pipe.stdout
        self._used = Path(f"/proc/{pipe.pid}/schedstat")

    def strip(self, source: str, target: str) -> None:
        self._in.write("\n".join([*self._arguments, "-o", target, source, "-execute"]) + "\n")
        self._in.flush()
        while self._out.readline() not in {"{ready}\n", ""}:
            pass

    def cpu(self) -> float:
        """https://docs.kernel.org/scheduler/sched-stats.html: nanoseconds, where utime and stime are centiseconds."""
        return int(self._used.read_text().split()[0]) / 1e9


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[Contender]:
    command = ["exiftool", "-stay_open", "True", "-@", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as pipe:
        yield Exiftool(arguments, pipe)
        assert pipe.stdin
        pipe.stdin.write("-stay_open\nFalse\n")


@dataclass(frozen=True)
class Sample:
    """One pass over all files; seconds."""

    contender: str
    round: int
    cpu: float
    wall: float


def run(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """The whole corpus, then its largest pictures."""
    if not corpus.FILES:
        raise SystemExit(f"there is no {corpus.FOLDER}, whose pictures are stripped")
    if not shutil.which("exiftool"):
        raise SystemExit("there is no exiftool: `make up` installs libimage-exiftool-perl")
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {OURS: Bucketops()}
        contenders |= {name: stack.enter_context(running(given)) for name, given in EXIFTOOL.items()}
        files = _accepted(contenders.values(), folder)
        largest = sorted(files, key=lambda file: -file.stat().st_size)[:LARGEST]
        return [
            _compared(title, those, contenders, rounds, folder)
            for title, those in (("the corpus", files), ("its largest pictures", largest))
        ]


def _accepted(contenders: Any, folder: Path) -> list[Path]:
    """The files that nobody refuses: to refuse is quick and would flatter."""
    files = corpus.FILES
    for each in contenders:
        with _pass(files, each.strip, folder) as target:
            files = [file for file in files if (made := target / file.name).exists() and made.stat().st_size]
    return files


@contextmanager
def _pass(files: Sequence[Path], work: Callable[[str, str], None], folder: Path) -> Iterator[Path]:
    """Every file once; what was made of them is there until the block ends."""
    target = folder / "stripped"
    target.mkdir()
    try:
        for source, made in [(str(file), str(target / file.name)) for file in files]:
            work(source, made)
        yield target
    finally:
        shutil.rmtree(target)


def _sample(name: str, number: int, files: Sequence[Path], contender: Contender, folder: Path) -> Sample:
    begin, used = time.perf_counter(), contender.cpu()
    with _pass(files, contender.strip, folder):
        return Sample(name, number, contender.cpu() - used, time.perf_counter() - begin)


def _compared(
    title: str, files: Sequence[Path], contenders: dict[str, Contender], rounds: int, folder: Path
) -> dict[str, Any]:
    samples = [
        _sample(name, number, files, contenders[name], folder)
        for number in range(rounds)
        for name in rotated(list(contenders), number)
    ]
    size = sum(file.stat().st_size for file in files)
    rows = [_row(name, samples, len(files), size) for name in contenders]
    heads = ("", "files/s of one core", "MB/s of one core", "rate per core: ours/theirs", "rate: ours/theirs")
    report.table(f"{title}: {len(files)} files, {size / 1e6:.1f} MB; {rounds} rounds", heads, rows)
    return {"title": title, "files": len(files), "bytes": size, "rows": rows, "samples": samples}


def _row(name: str, samples: Sequence[Sample], files: int, size: int) -> tuple[object, ...]:
    def rates(who: str, amount: float, seconds: Callable[[Sample], float]) -> dict[int, float]:
        return {sample.round: amount / seconds(sample) for sample in samples if sample.contender == who}

    rate = rates(name, files, lambda s: s.cpu)
    ratios = [paired(rates(OURS, 1, by), rates(name, 1, by)) for by in (lambda s: s.cpu, lambda s: s.wall)]
    return (
        name,
        spread(list(rate.values())),
        spread(list(rates(name, size / 1e6, lambda s: s.cpu).values())),
        *([None, None] if name == OURS else ratios),
    )
