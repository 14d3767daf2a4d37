"""Copy what an image needs of Debian, and nothing else, below a folder: `image_files.py INTO ROOT…`.

A ROOT is a program by name, or a folder of Python packages. Of each, and of the Python that runs this, the shared
libraries come along. So the image has no shell, no package manager, no Perl and no file that changes the user. Which
Debian packages they are of stands in /var/lib/dpkg/status.d, where scanners of images look for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

ELF = b"\x7fELF"
ALWAYS = ("/etc/group", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd")
MERGED = ("bin", "lib", "lib64", "sbin")
"""Links to /usr on a Debian of today: https://wiki.debian.org/UsrMerge."""
UNNEEDED = ("__pycache__", "ensurepip", "idlelib", "pydoc_data", "test", "tkinter", "turtledemo", "venv")
"""Of the standard library; bytecode is made anew."""
BY_DLOPEN = ("libgcc_s.so.1",)
"""Opened by the C library when a thread is cancelled, and named by no program."""
DPKG = Path("/var/lib/dpkg")
ALSO = ("ca-certificates", "tzdata")
"""Packages whose files the Dockerfile copies by itself."""


def main() -> None:
    """Copy, and compile the standard library."""
    into, roots = Path(sys.argv[1]), sys.argv[2:]
    programs = [Path(sys.executable), *(Path(found) for root in roots if (found := shutil.which(root)))]
    folders = [Path(root) for root in roots if not shutil.which(root)]
    library = Path(sysconfig.get_path("stdlib"))
    link_merged(into)
    for path in [*map(Path, ALWAYS), *programs, *files_of(library)]:
        if path.exists():
            copy(path, into)
    elves = {file for folder in (library, *folders) for file in files_of(folder) if is_elf(file)}
    for needed in sorted(libraries(elves | {program.resolve() for program in programs})):
        copy(needed, into)
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compiled, "-s", into, "-p", "/", below(into, library)], check=True)
    note_packages(into)
    (into / "tmp").mkdir()
    (into / "tmp").chmod(0o1777)


def link_merged(into: Path) -> None:
    """Make the links that a Debian of today has in its root."""
    into.mkdir(parents=True)
    for name in MERGED:
        if Path("/", name).is_symlink():
            (into / name).symlink_to(Path("/", name).readlink())


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files and links of a folder, without the unneeded parts of a standard library."""
    for path, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in UNNEEDED]
        yield from (Path(path, name) for name in files)


def is_elf(file: Path) -> bool:
    """Return whether a file is a program or a shared library."""
    with file.open("rb") as opened:
        return opened.read(len(ELF)) == ELF


def libraries(binaries: Iterable[Path]) -> set[Path]:
    """Return the shared libraries of programs and libraries, the loader included, as `ldd` finds them."""
    found: set[Path] = set()
    for binary in binaries:
        answer = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        if "not found" in answer:
            raise SystemExit(f"{binary} lacks a library:\n{answer}")
        found |= {Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", answer, re.MULTILINE)}
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return found | {Path(path) for name in BY_DLOPEN for path in re.findall(rf"{re.escape(name)} .*=> (\S+)", cache)}


def note_packages(into: Path) -> None:
    """Write a file for each Debian package of which a file was copied, and copy its licence."""
    owners = owners_of(Path("/", file.relative_to(into)) for file in files_of(into))
    for stanza in (DPKG / "status").read_text(encoding="utf-8").split("\n\n"):
        named = re.search(r"^Package: (.+)$", stanza, re.MULTILINE)
        if named and named[1] in owners.union(ALSO):
            target = below(into, DPKG / "status.d" / named[1])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(stanza.strip() + "\n", encoding="utf-8")
            licence = Path("/usr/share/doc", named[1], "copyright")
            if licence.exists():
                copy(licence, into)


def owners_of(paths: Iterable[Path]) -> set[str]:
    """Return the names of the Debian packages that the files are of: dpkg lists each file of each of them."""
    wanted = {str(path) for path in paths}
    owners = set()
    for listing in (DPKG / "info").glob("*.list"):
        files = map(Path, listing.read_text(encoding="utf-8").splitlines())
        if any(str(file.parent.resolve() / file.name) in wanted for file in files):
            owners.add(listing.stem.partition(":")[0])
    return owners


def copy(path: Path, into: Path) -> None:
    """Copy a file to its own place below `into`; a link is copied as one, and what it leads to as well."""
    path = path.parent.resolve() / path.name
    target = below(into, path)
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(path.readlink())
        copy(path.parent / path.readlink(), into)
    else:
        shutil.copy2(path, target)
        target.chmod(target.stat().st_mode & 0o755)


def below(into: Path, path: Path) -> Path:
    """Return the place of an absolute path below another root."""
    return into / path.relative_to("/")


if __name__ == "__main__":
    main()
