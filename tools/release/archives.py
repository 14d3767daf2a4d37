"""Archives whose bytes depend on their contents and one date alone."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

Entry = tuple[tarfile.TarInfo, IO[bytes] | None]


def plain(info: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    """Return the header of a file without what differs from build to build: times and names of users."""
    info.mtime = epoch
    info.uname = info.gname = ""
    info.pax_headers = {key: text for key, text in info.pax_headers.items() if key.startswith("SCHILY.xattr.")}
    return info


def rewrite(source: IO[bytes], target: IO[bytes], epoch: int) -> None:
    """Write a tar, compressed or not, as one without compression: in its order, with plain headers."""
    with (
        tarfile.open(fileobj=source, mode="r:*") as old,
        tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for info in old:
            content = old.extractfile(info) if info.isreg() else None
            new.addfile(plain(info, epoch), content)


def compress(data: IO[bytes], target: Path, epoch: int) -> None:
    """Write a gzip file that names neither its file nor the time of today."""
    with target.open("wb") as file, gzip.GzipFile("", "wb", 9, file, epoch) as packed:
        while block := data.read(1 << 20):
            packed.write(block)


def repack(archive: Path, epoch: int) -> None:
    """Write a .tgz again, so that it is the same from the same contents."""
    plain_tar = io.BytesIO()
    with archive.open("rb") as old:
        rewrite(old, plain_tar, epoch)
    plain_tar.seek(0)
    compress(plain_tar, archive, epoch)


def pack(folder: Path, target: Path, epoch: int) -> None:
    """Write the files of a folder to a tar, sorted by name, as files of root that everybody may read."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in _entries(folder, sorted(folder.rglob("*"))):
            archive.addfile(plain(info, epoch), content)


def _entries(folder: Path, paths: Iterable[Path]) -> Iterator[Entry]:
    for path in paths:
        info = tarfile.TarInfo(str(path.relative_to(folder)))
        if path.is_dir():
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info, None
        else:
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                yield info, content
