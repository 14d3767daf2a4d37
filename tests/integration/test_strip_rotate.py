"""`orientation: Rotate`: jpegtran turns the picture, or the orientation stays and a word says why.

Coefficients are compared exactly. Pixels are, where a block has one colour; elsewhere libjpeg's decoder rounds columns
first and rows then, so that a turned block may come out up to three levels off. A wrong turn is off by hundreds.
"""

from __future__ import annotations

import io
import random
import stat
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from PIL.JpegImagePlugin import JpegImageFile

from bucketops.__main__ import main
from bucketops_jobs.exif import rotate
from bucketops_jobs.exif.frame import Frame
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, Verdict
from bucketops_jobs.exif.verify import verify
from support import corpus, ultrahdr
from support.jpegs import EOI, after_soi, exif, icc_chunks, look, picture, segment, srgb
from support.traps import CANARY, TRAPS, canary
from support.ultrahdr import UltraHdr

pytestmark = pytest.mark.slow

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ROUNDING, ROUNDING_OF_REAL = 3, 8
FORMS = {
    "grey": ("L", {}),
    "4:4:4": ("RGB", {"subsampling": 0}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "progressive": ("RGB", {"progressive": True}),
    "restart markers": ("RGB", {"restart_marker_blocks": 2}),
    "CMYK": ("CMYK", {}),
}
SIZE = (96, 64)
OBSTACLES = set(rotate.Obstacle)


def run(source: bytes, orientation: Choice = Choice.ROTATE, gain_map: Choice = Choice.DROP) -> tuple[Verdict, bytes]:
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink, Options(orientation=orientation, hdr_gain_map=gain_map))
    return verdict, sink.getvalue()


def turned(source: bytes, orientation: int) -> bytes:
    verdict, result = run(after_soi(source, exif(orientation, canary("camera"))))
    assert verdict.clean, verdict.message
    assert verdict.report.rotated, verdict.report.losses
    assert not verdict.report.losses
    assert CANARY not in result
    return result


def coded(jpeg: bytes) -> int:
    return verify(io.BytesIO(jpeg)).coded_crc32


def recoded(jpeg: bytes, *options: str) -> bytes:
    """By jpegtran itself: other Huffman tables, the same coefficients."""
    command = ["jpegtran", "-copy", "none", *options]
    return subprocess.run(command, input=jpeg, capture_output=True, check=True).stdout


def opened(jpeg: bytes) -> Image.Image:
    with JpegImageFile(io.BytesIO(jpeg)) as found:
        found.load()
        return found


def farthest(one: Image.Image, other: Image.Image) -> int:
    assert (one.mode, one.size) == (other.mode, other.size)
    extremes = ImageChops.difference(one, other).getextrema()
    return max(high for _, high in (extremes if isinstance(extremes[0], tuple) else [extremes]))


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("form", FORMS)
def test_a_turned_picture_looks_as_viewers_would_have_turned_it(form: str, orientation: int) -> None:
    mode, options = FORMS[form]
    source = picture(mode, SIZE, **options)
    result = turned(source, orientation)
    assert look(result)[0] == 1
    assert b"Exif" not in result
    assert farthest(opened(source).transpose(TURNS[orientation]), opened(result)) <= ROUNDING
    assert farthest(opened(source), opened(result).resize(SIZE)) > 50


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_where_nothing_is_rounded_the_pixels_are_equal(mode: str, orientation: int) -> None:
    """Blocks of one colour."""
    chance = random.Random(mode)
    small = Image.frombytes(mode, (12, 8), chance.randbytes(12 * 8 * len(mode)))
    out = io.BytesIO()
    small.resize(SIZE, Image.Resampling.NEAREST).save(out, "JPEG", quality=95, subsampling=0)
    result = turned(out.getvalue(), orientation)
    assert farthest(opened(out.getvalue()).transpose(TURNS[orientation]), opened(result)) == 0


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("form", FORMS)
def test_turned_back_all_coefficients_are_where_they_were(form: str, orientation: int) -> None:
    mode, options = FORMS[form]
    source = picture(mode, SIZE, **options)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    again = turned(turned(source, orientation), back)
    coding = "-progressive" if form == "progressive" else "-optimize"
    assert coded(again) == coded(recoded(source, coding))
    assert coded(again) != coded(turned(source, orientation))


@pytest.mark.parametrize("orientation", [1, None])
def test_what_stands_upright_is_left_byte_for_byte(orientation: int | None) -> None:
    source = after_soi(picture(), exif(orientation, canary("camera")))
    verdict, result = run(source)
    assert not verdict.report.rotated
    assert (result, coded(result)) == (run(source, Choice.KEEP)[1], coded(picture()))


WHOLE = {  # width and height of the MCUs are 16
    2: ((48, 40), (40, 48)),
    3: ((48, 48), (48, 40)),
    4: ((40, 48), (48, 40)),
    6: ((40, 48), (48, 40)),
    7: ((48, 48), (40, 48)),
    8: ((48, 40), (40, 48)),
}


@pytest.mark.parametrize("orientation", WHOLE)
def test_only_edges_that_move_need_whole_blocks(orientation: int) -> None:
    fits, does_not = WHOLE[orientation]
    turned(picture(size=fits, subsampling=2), orientation)
    expect_kept(picture(size=does_not, subsampling=2), orientation, rotate.Obstacle.IMPERFECT)


def test_a_transposed_picture_may_have_any_size() -> None:
    source = picture(size=(41, 53), subsampling=2)
    assert farthest(opened(source).transpose(TURNS[5]), opened(turned(source, 5))) <= ROUNDING


def expect_kept(source: bytes, orientation: int, why: rotate.Obstacle) -> None:
    """The result is that of Keep, byte for byte, and says why."""
    whole = after_soi(source, exif(orientation, canary("camera")))
    verdict, result = run(whole)
    assert verdict.clean, verdict.message
    assert not verdict.report.rotated
    assert verdict.report.losses == {why}
    assert result == run(whole, Choice.KEEP)[1]
    assert b"\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes((orientation,)) in result


def resized(source: bytes, height: int, width: int) -> bytes:
    """Only the frame says so."""
    at = source.index(b"\xff\xc0\x00\x11\x08") + 5
    return source[:at] + height.to_bytes(2) + width.to_bytes(2) + source[at + 4 :]


def arithmetic(*options: str) -> bytes:
    bitmap = subprocess.run(["djpeg", "-pnm"], input=picture(size=SIZE), capture_output=True, check=True).stdout
    return subprocess.run(["cjpeg", *options], input=bitmap, capture_output=True, check=True).stdout


def test_what_cannot_be_turned_keeps_its_orientation_and_says_why() -> None:
    source = picture(size=SIZE, subsampling=0)
    expect_kept(arithmetic("-arithmetic"), 6, rotate.Obstacle.UNSUPPORTED)
    twelve_bits = source.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c")
    expect_kept(twelve_bits, 6, rotate.Obstacle.UNSUPPORTED)
    expect_kept(source.replace(b"\xff\xc0", b"\xff\xc3"), 6, rotate.Obstacle.UNSUPPORTED)  # lossless
    expect_kept(resized(source, 0, 96)[:-2] + segment(0xDC, b"\x00\x40") + EOI, 6, rotate.Obstacle.UNSUPPORTED)
    expect_kept(resized(source, 0xFFF8, 0xFFF8), 6, rotate.Obstacle.TOO_LARGE)
    expect_kept(resized(source, 640, 960), 6, rotate.Obstacle.FAILED)  # the scan ends too early
    expect_kept(source[:-400] + EOI, 6, rotate.Obstacle.FAILED)


def test_scans_without_end_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = picture(size=SIZE, progressive=True)
    scans = source.count(b"\xff\xda")
    monkeypatch.setattr(rotate, "_MOST_SCANS", scans)
    turned(source, 6)
    monkeypatch.setattr(rotate, "_MOST_SCANS", scans - 1)
    expect_kept(source, 6, rotate.Obstacle.FAILED)


SAMPLINGS = ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "1x1,2x2,1x1", "3x1", "2x2,2x1,1x2"]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_memory_that_is_allowed_is_enough_for_every_subsampling(sampling: str) -> None:
    """12 million pixels, where an error of the estimate would show; jpegtran ends when it needs more."""
    out = io.BytesIO()
    Image.new("RGB", (4032, 3072), (200, 30, 90)).save(out, "PPM")
    source = subprocess.run(
        ["cjpeg", "-sample", sampling], input=out.getvalue(), capture_output=True, check=True
    ).stdout
    assert opened(turned(source, 6)).size == (3072, 4032)


def test_a_picture_that_needs_more_memory_than_was_counted_is_not_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Frame, "coefficient_bytes", lambda _: 1)
    monkeypatch.setattr(rotate, "_BESIDES", 1 << 17)
    expect_kept(picture("L", (480, 480)), 6, rotate.Obstacle.FAILED)


def test_density_is_turned_too_and_profile_and_colours_stay() -> None:
    source = picture("CMYK", SIZE)
    adobe = source[source.index(b"\xff\xee") :][:16]
    profile = srgb()
    result = turned(after_soi(source, *icc_chunks(profile, 300)), 6)
    assert look(result)[1] == profile
    assert adobe in result
    result = turned(picture(size=SIZE, dpi=(72, 144)), 6)
    assert result[14:18] == b"\x00\x90\x00\x48"
    result = turned(picture(size=SIZE, dpi=(72, 144)), 3)
    assert result[14:18] == b"\x00\x48\x00\x90"


def test_rgb_without_adobe_segment_gets_none() -> None:
    """Its components' names say RGB, and go on to do so; jpegtran would have written one."""
    rgb = arithmetic("-rgb", "-sample", "1x1")
    bare = rgb.replace(rgb[rgb.index(b"\xff\xee") :][:16], b"", 1)
    result = turned(bare, 6)
    assert b"Adobe" not in result
    assert farthest(opened(bare).transpose(TURNS[6]), opened(result)) <= ROUNDING


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_upright_or_says_why_and_leaks_nothing(name: str) -> None:
    trap = TRAPS[name]()
    verdict, result = run(trap.source)
    assert verdict.clean, verdict.message
    assert CANARY not in result
    obstacles = verdict.report.losses & OBSTACLES
    assert look(result) == ((trap.orientation if obstacles else 1), trap.icc)
    assert verdict.report.rotated == (trap.orientation > 1 and not obstacles)


@corpus.needed
def test_every_real_picture_is_upright_or_says_why() -> None:
    for file in corpus.FILES:
        verdict, result = run(file.read_bytes())
        if verdict.clean:
            obstacles = verdict.report.losses & OBSTACLES
            assert verdict.report.rotated == (verdict.report.orientation > 1 and not obstacles), file.name
            wanted = verdict.report.orientation if obstacles else 1
            assert verify(io.BytesIO(result)).orientation == wanted, file.name


@corpus.needed
def test_every_real_picture_can_be_laid_on_its_side_and_is_turned_or_says_why() -> None:
    """Few of them lie; so each gets an orientation, before its own."""
    seen: Counter[str] = Counter()
    for number, file in enumerate(corpus.FILES):
        orientation = 2 + number % 7
        source = file.read_bytes()
        verdict, result = run(after_soi(source, exif(orientation, canary("camera"))))
        if not verdict.clean:
            continue
        assert CANARY not in result
        obstacles = verdict.report.losses & OBSTACLES
        assert verdict.report.rotated == (not obstacles), file.name
        seen.update(obstacles or {"rotated"})
        if verdict.report.rotated:
            assert farthest(opened(source).transpose(TURNS[orientation]), opened(result)) <= ROUNDING_OF_REAL, file.name
    assert seen["rotated"] > len(corpus.FILES) // 10, seen
    assert seen[rotate.Obstacle.IMPERFECT] > 0


def instead(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int = 0) -> None:
    """Another program under the name of jpegtran."""
    (folder / "answer").write_bytes(answer)
    program = folder / "jpegtran"
    program.write_text(f"#!/bin/sh\n/bin/cat {folder}/answer\nexit {code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


WRONG = {
    "nothing": b"",
    "no picture": b"hello, world",
    "half a frame": b"\xff\xd8\xff\xc0\x00\x05\x08\x00\x10" + EOI,
    "the picture as it was": picture(size=SIZE),
    "half of it": recoded(picture(size=SIZE), "-rotate", "90")[:-50],
}


@pytest.mark.parametrize("answer", WRONG)
def test_an_answer_that_is_not_the_turned_picture_is_not_taken(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(tmp_path, monkeypatch, WRONG[answer])
    expect_kept(picture(size=SIZE), 6, rotate.Obstacle.FAILED)


def test_an_answer_with_a_warning_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(tmp_path, monkeypatch, recoded(picture(size=SIZE), "-rotate", "90"), code=2)
    expect_kept(picture(size=SIZE), 6, rotate.Obstacle.FAILED)


def test_the_check_sees_what_jpegtran_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed: nothing is trusted because of who wrote it."""
    good = recoded(picture(size=SIZE), "-rotate", "90")
    at = good.index(b"\xff\xda") + 300
    instead(tmp_path, monkeypatch, good[:at] + b"Exif\x00\x00" + canary("x") + good[at:])
    verdict, result = run(after_soi(picture(size=SIZE), exif(6)))
    assert (verdict.refusal, result) == (Refusal.NOT_CLEAN, b"")


def test_without_jpegtran_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(after_soi(picture(size=SIZE), exif(6)))
    command = ["strip", str(file), "--output-dir", str(tmp_path / "out"), "--orientation"]
    assert main([*command, "rotate"]) == 0
    assert "; rotated\n" in capsys.readouterr().out
    assert look((tmp_path / "out" / "a.jpg").read_bytes())[0] == 1
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*command, "Rotate"]) == 64
    assert "libjpeg-turbo-progs" in capsys.readouterr().err
    assert main([*command, "Keep"]) == 0


def test_many_at_once_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "_ROOM", rotate.Room(10 << 20))
    source = picture(size=SIZE)
    with ThreadPoolExecutor(16) as pool:
        results = set(pool.map(lambda _: turned(source, 6), range(32)))
    assert len(results) == 1


@pytest.mark.parametrize("orientation", TURNS)
def test_a_gain_map_is_turned_with_its_picture(orientation: int) -> None:
    primary, second = picture(size=SIZE), picture("L", (48, 32))
    source = UltraHdr(primary, second, orientation).file()
    verdict, result = run(source, gain_map=Choice.KEEP)
    assert verdict.clean, verdict.message
    assert (verdict.report.rotated, verdict.report.losses) == (True, set())
    assert CANARY not in result
    begin = ultrahdr.second_begins(result)
    assert farthest(opened(primary).transpose(TURNS[orientation]), opened(result)) <= ROUNDING
    assert farthest(opened(second).transpose(TURNS[orientation]), opened(result[begin:])) <= ROUNDING


def test_if_one_of_both_cannot_be_turned_none_is() -> None:
    source = UltraHdr(picture(size=SIZE), picture("L", (44, 28)), 6).file()
    verdict, result = run(source, gain_map=Choice.KEEP)
    assert (verdict.report.rotated, verdict.report.losses) == (False, {rotate.Obstacle.IMPERFECT})
    assert result == run(source, Choice.KEEP, Choice.KEEP)[1]
    assert look(result)[0] == 6
