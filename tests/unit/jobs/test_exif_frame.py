"""The shape of a picture, and what becomes of it when it is turned."""

from __future__ import annotations

import threading

import pytest

from bucketops_jobs.exif.frame import Frame
from bucketops_jobs.exif.rotate import Room
from support.jpegs import picture


def frame(mode: str = "RGB", size: tuple[int, int] = (48, 40), subsampling: int = 2) -> Frame:
    source = picture(mode, size, subsampling=subsampling)
    at = source.index(b"\xff\xc0")
    return Frame.read(0xC0, source[at + 4 : at + 2 + int.from_bytes(source[at + 2 : at + 4])])


def test_a_frame_is_read_as_it_is_written() -> None:
    read = frame()
    assert (read.width, read.height, read.precision) == (48, 40, 8)
    assert [part[1:3] for part in read.components] == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_rows_become_columns_from_orientation_5_on(orientation: int) -> None:
    turned = frame(subsampling=1).turned(orientation)
    assert (turned.width, turned.height) == ((40, 48) if orientation > 4 else (48, 40))
    assert turned.components[0][1:3] == ((1, 2) if orientation > 4 else (2, 1))
    assert turned.turned(orientation).is_alike(frame(subsampling=1))


def test_coefficients_are_counted_in_whole_mcus() -> None:
    assert frame(size=(48, 48)).coefficient_bytes() == 48 * 48 * 3  # 4:2:0 has 1.5 per pixel, of 2 bytes
    assert frame(size=(47, 33)).coefficient_bytes() == 48 * 48 * 3
    assert frame("L", (17, 8)).coefficient_bytes() == 24 * 8 * 2


def test_shapes_differ_by_size_and_by_sampling() -> None:
    assert not frame().is_alike(frame(size=(40, 48)))
    assert not frame().is_alike(frame(subsampling=1))
    assert not frame().is_alike(frame("L"))
    assert frame("L").is_alike(frame("L"))


def test_room_is_never_given_twice() -> None:
    room, held, most = Room(10), [0], [0]
    lock = threading.Lock()

    def work(size: int) -> None:
        for _ in range(50):
            with room.take(size):
                with lock:
                    held[0] += size
                    most[0] = max(most[0], held[0])
                with lock:
                    held[0] -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 3, 4, 7, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 10
    assert held[0] == 0
