"""Objects made behind a server's back, ten thousand a second: what one real object is on disk, under other names.

The folder holds one object of each variant already; number i becomes a clone of variant i modulo their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from bench import seeds

PROCESSES = 2


def minio(folder: Path, count: int) -> None:
    """A folder with an xl.meta for each key; the file holds the object's bytes too, its size being below 128 KiB."""
    models = [(folder / seeds.name(number) / "xl.meta").read_bytes() for number in range(seeds.VARIANTS)]
    _parallel(partial(_minio, folder, models), count)


def _minio(folder: Path, models: list[bytes], numbers: range) -> None:
    root = os.open(folder, os.O_RDONLY)
    for number in numbers:
        name = seeds.name(number)
        os.mkdir(name, dir_fd=root)
        _write(root, f"{name}/xl.meta", models[number % seeds.VARIANTS], {})
    os.close(root)


def versitygw(folder: Path, count: int) -> None:
    """A file for each key; ETag and type are extended attributes."""
    models = [folder / seeds.name(number) for number in range(seeds.VARIANTS)]
    attributes = [{name: os.getxattr(model, name) for name in os.listxattr(model)} for model in models]
    _parallel(partial(_versitygw, folder, attributes), count)


def _versitygw(folder: Path, attributes: list[dict[str, bytes]], numbers: range) -> None:
    root = os.open(folder, os.O_RDONLY)
    for number in numbers:
        variant = number % seeds.VARIANTS
        _write(root, seeds.name(number), seeds.BODIES[variant], attributes[variant])
    os.close(root)


def _write(root: int, name: str, content: bytes, attributes: dict[str, bytes]) -> None:
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=root)
    os.write(target, content)
    for key, value in attributes.items():
        os.setxattr(target, key, value)
    os.close(target)


def _parallel(some: Callable[[range], None], count: int) -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        shares = [range(seeds.VARIANTS + start, count, PROCESSES) for start in range(PROCESSES)]
        for _ in pool.map(some, shares):
            pass
