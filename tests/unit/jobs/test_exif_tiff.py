"""The two values of EXIF that are looked at, whatever state the rest is in."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bucketops_jobs.exif.tiff import Tiff, orientation_only
from support.jpegs import adobe_rgb, exif, tiff


@pytest.mark.parametrize("number", range(1, 9))
def test_what_is_written_is_read_again(number: int) -> None:
    payload = orientation_only(number)
    assert len(payload) == 32
    assert Tiff(payload[6:]).orientation() == number
    read = Image.Exif()
    read.load(payload)
    assert dict(read) == {0x0112: number}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_every_form_that_writers_use_is_read(order: str, kind: int) -> None:
    assert Tiff(exif(6, b"camera", order, kind)[10:]).orientation() == 6


@pytest.mark.parametrize("number", [0, 9, 255])
def test_a_number_that_is_no_orientation_is_none(number: int) -> None:
    assert Tiff(exif(number)[10:]).orientation() is None


def test_text_is_no_orientation() -> None:
    assert Tiff(tiff([(0x0112, 2, 2, b"6\x00\x00\x00")])).orientation() is None


def test_a_directory_that_claims_more_than_there_is_is_read_as_far_as_it_goes() -> None:
    block = tiff([(0x0112, 3, 1, b"\x00\x06\x00\x00")])
    assert Tiff(block[:8] + struct.pack(">H", 9999) + block[10:]).orientation() == 6


def test_adobe_rgb_is_known_by_its_interoperability_index() -> None:
    assert Tiff(adobe_rgb(b"")[10:]).is_adobe_rgb()
    assert not Tiff(adobe_rgb(b"").replace(b"R03", b"R98")[10:]).is_adobe_rgb()


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda rest: b"MM\x00*" + rest)))
def test_damage_is_no_error(block: bytes) -> None:
    assert Tiff(block).orientation() in {None, *range(1, 9)}
    assert Tiff(block).is_adobe_rgb() in {True, False}


@given(st.integers(0, 89), st.integers(0, 255))
def test_a_damaged_byte_is_no_error(at: int, value: int) -> None:
    block = io.BytesIO(adobe_rgb(b"")[10:])
    block.seek(at)
    block.write(bytes((value,)))
    assert Tiff(block.getvalue()).is_adobe_rgb() in {True, False}
