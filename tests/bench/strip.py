"""The stripper's rate against exiftool's, which runs all the time (-stay_open) so that Perl starts once.

    python tests/bench/strip.py FOLDER [ROUNDS]

Both read each file from a folder and write a clean one to another. Rounds are interleaved and their order alternates;
the ratio of a round is paired, and the median counts. CPU seconds are those of the process that does the work, so
that the ratio is per core and a busy machine hardly matters.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bucketops_jobs.exif.strip import strip

TICK = os.sysconf("SC_CLK_TCK")
ROUNDS = 9
Figures = tuple[float, float]
"""CPU seconds and seconds."""


class Exiftool:
    """One process for all files."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        command = ["exiftool", "-stay_open", "True", "-@", "-"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def strip(self, source: Path, target: Path) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        lines = [*self._arguments, "-o", str(target), str(source), "-execute"]
        self._process.stdin.write("\n".join(lines) + "\n")
        self._process.stdin.flush()
        while self._process.stdout.readline() not in {"{ready}\n", ""}:
            pass

    def cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("-stay_open\nFalse\n")
        self._process.stdin.close()
        self._process.wait()


def ours(source: Path, target: Path) -> None:
    with source.open("rb") as file, target.open("w+b") as sink:
        strip(file, sink)


def once(files: list[Path], work: Callable[[Path, Path], None], cpu: Callable[[], float]) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        begin, used = time.perf_counter(), cpu()
        for file in files:
            work(file, Path(folder, file.name))
        return cpu() - used, time.perf_counter() - begin


def both_write(files: list[Path], tool: Exiftool) -> list[Path]:
    """The files that neither refuses: refusing is quick and would flatter."""
    with tempfile.TemporaryDirectory() as mine, tempfile.TemporaryDirectory() as its:
        for file in files:
            ours(file, Path(mine, file.name))
            tool.strip(file, Path(its, file.name))
        return [file for file in files if Path(mine, file.name).stat().st_size and Path(its, file.name).exists()]


def compare(name: str, arguments: list[str], files: list[Path], rounds: int) -> float:
    tool = Exiftool(arguments)
    files = both_write(files, tool)
    size = sum(file.stat().st_size for file in files)
    results: list[tuple[Figures, Figures]] = []
    for number in range(rounds):
        pair: dict[str, Figures] = {}
        for who in ("ours", "its") if number % 2 else ("its", "ours"):
            pair[who] = once(files, ours, time.process_time) if who == "ours" else once(files, tool.strip, tool.cpu)
        results.append((pair["ours"], pair["its"]))
    tool.close()
    ratio = statistics.median(its[0] / mine[0] for mine, its in results)
    wall = statistics.median(its[1] / mine[1] for mine, its in results)
    mine_cpu = statistics.median(mine[0] for mine, _ in results)
    its_cpu = statistics.median(its[0] for _, its in results)
    print(f"{name}: {len(files)} files, {size} bytes, {rounds} rounds")
    print(f"  bucketops {len(files) / mine_cpu:7.0f} files/s per core, {size / mine_cpu / 1e6:5.0f} MB/s")
    print(f"  exiftool  {len(files) / its_cpu:7.0f} files/s per core, {size / its_cpu / 1e6:5.0f} MB/s")
    print(f"  median of paired ratios: {ratio:.2f} in CPU seconds, {wall:.2f} in seconds")
    return ratio


def main() -> int:
    """Exit 1 if we are not at least twice as fast."""
    files = sorted(file for file in Path(sys.argv[1]).iterdir() if file.suffix.lower() == ".jpg")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    keep = ["-all=", "--icc_profile:all", "-tagsfromfile", "@", "-orientation"]
    ratios = [
        compare("exiftool -all=", ["-all="], files, rounds),
        compare("exiftool, keeping ICC and orientation as we do", keep, files, rounds),
    ]
    return 0 if min(ratios) >= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
