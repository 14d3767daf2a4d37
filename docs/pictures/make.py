# noqa: INP001
"""`make pictures`: what people see in a terminal, as SVG files: real commands on real servers, captured.

PYTHONPATH=tests .venv/bin/python docs/pictures/make.py
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image
from rich.console import Console, RenderableType
from rich.table import Table
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from support.command import BUCKETOPS, beside
from support.jpegs import image, srgb
from support.lab import Lab, laboratory
from support.relay import Relay
from support.servers import start_minio, start_postgres
from support.terminal import Terminal

HERE = Path(__file__).parent
WIDTH = 92
OBJECTS, MODERN = 2000, 500
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""The SVG template of rich, without the fonts that a browser would load from elsewhere."""


def main() -> int:
    """Make all pictures."""
    with tempfile.TemporaryDirectory(prefix="bucketops-pictures-") as folder, lab_in(Path(folder)) as lab:
        migration(lab, Path(folder))
    strip()
    return 0


@contextmanager
def lab_in(folder: Path) -> Iterator[Lab]:
    """The example's world on servers of our own."""
    for name in ("minio", "postgres"):
        (folder / name).mkdir()
    folder.chmod(0o755)  # PostgreSQL runs as another user
    minio, postgres = start_minio(folder / "minio"), start_postgres(folder / "postgres")
    try:
        with laboratory(f"http://127.0.0.1:{minio.port}", postgres.port, folder) as lab:
            lab.world.source, lab.world.destination = "legacy-s3", "production-s3"
            yield lab
    finally:
        minio.stop()
        postgres.stop()


def migration(lab: Lab, folder: Path) -> None:
    """In the middle, while the database is away, and at the end."""
    lab.world.seed(range(1, OBJECTS + 1), range(OBJECTS + 1, OBJECTS + MODERN + 1))
    with Relay(int(lab.database["PGPORT"])) as relay:
        lab.database["PGPORT"] = str(relay.port)
        spec = lab.spec(worker={"parallelism": 2, "shards": 4, "concurrency": 16}, chunk=500)
        with Terminal(beside(lab, folder, spec), columns=WIDTH) as terminal:
            terminal.until(r"Copying [^\n]* [45]\d% [^$]*rows rewritten")
            save("run-live", framed(terminal.screen()))
            behind = relay.target
            relay.turn(1)
            terminal.until(r"the database has not answered for [3-9] s")
            save("run-waits", framed(terminal.screen()))
            relay.turn(behind)
            if code := terminal.end():
                raise RuntimeError(f"exit code {code}: {terminal.text}")
            save("run-end", framed(terminal.screen()))


def framed(lines: Sequence[str]) -> list[RenderableType]:
    """The command that a person types, and what it shows."""
    typed = "$ bucketops run -f migration.yaml --secret avatars-s3=s3.env --secret avatars-db=db.env"
    return [Text(typed, style="bold"), *(Text.from_ansi(line) for line in "\n".join(lines).rstrip().split("\n"))]


def strip() -> None:
    """What a photo tells before and after `bucketops strip`, as Pillow reads it."""
    with tempfile.TemporaryDirectory(prefix="bucketops-pictures-") as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        photo.write_bytes(taken())
        with Terminal([BUCKETOPS, "strip", str(photo), "--output-dir", str(folder / "clean")], columns=400) as terminal:
            if code := terminal.end():
                raise RuntimeError(f"exit code {code}: {terminal.text}")
        said = [Text.from_ansi(line.replace(f"{folder}/", "")) for line in terminal.screen() if line]
        table = compared(read(photo), read(folder / "clean" / "photo.jpg"))
    save("strip", [Text("$ bucketops strip photo.jpg --output-dir clean", style="bold"), *said, Text(), table])


def taken() -> bytes:
    """A JPEG with what a phone writes into it."""
    exif, out = Image.Exif(), io.BytesIO()
    exif.update(
        {0x010F: "Apple", 0x0110: "iPhone 15", 0x0132: "2026:05:01 18:22:07", 0x0112: 6, 0x013B: "Ada Lovelace"}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.2), 3: "E", 4: (2.0, 17.0, 40.2)})
    exif.get_ifd(ExifTags.IFD.Exif).update({0x9003: "2026:05:01 18:22:07", 0xA431: "F2LXK09ZN72P"})
    image("RGB", (640, 480)).save(out, "JPEG", exif=exif, icc_profile=srgb(), comment=b"at home", quality=90)
    return out.getvalue()


def read(file: Path) -> Mapping[str, str]:
    """What Pillow finds in a file, by names for people."""
    with Image.open(file) as opened:
        exif, info = opened.getexif(), opened.info
        inner, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        where = [f"{float(sum(p / 60**n for n, p in enumerate(gps[i]))):.4f}° {gps[i - 1]}" for i in (2, 4) if i in gps]
        return {
            "size of the file": f"{file.stat().st_size:,} bytes",
            "place": ", ".join(where),
            "time": str(inner.get(0x9003, "")),
            "camera": " ".join(str(exif[tag]) for tag in (0x010F, 0x0110) if tag in exif),
            "serial number": str(inner.get(0xA431, "")),
            "owner": str(exif.get(0x013B, "")),
            "comment": bytes(info.get("comment", b"")).decode(),
            "orientation": str(exif.get(0x0112, "")),
            "colour profile": f"{len(info.get('icc_profile', b''))} bytes",
            "pixels": f"{opened.width} x {opened.height}, CRC {crc(opened)}",
        }


def crc(opened: Image.Image) -> str:
    """Return the CRC-32 of the decoded pixels."""
    return f"{zlib.crc32(opened.tobytes()):08x}"


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> Table:
    """Before and after, side by side; what is gone is green."""
    table = Table("", "before", "after", box=None, padding=(0, 3, 0, 0), header_style="dim")
    for name, value in before.items():
        gone = value and not after[name]
        table.add_row(
            name, Text(value, style="red" if gone else ""), Text(after[name] or "-", style="green" if gone else "")
        )
    return table


def save(name: str, shown: Sequence[RenderableType]) -> None:
    """Write a picture of a terminal; its ids follow from its name, so that equal screens are equal files."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in shown:
        console.print(line, highlight=False, no_wrap=isinstance(line, Text) and not re.search("clean, ", line.plain))
    svg = console.export_svg(title="bucketops", theme=SVG_EXPORT_THEME, code_format=_FORMAT, unique_id=name)
    (HERE / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    sys.stdout.write(f"{HERE.name}/{name}.svg\n")


if __name__ == "__main__":
    sys.exit(main())
