"""`bucketops strip`: every file is told of, no input is touched, and results appear whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bucketops.__main__ import main
from bucketops_jobs.exif import strip as core
from support.jpegs import after_soi, exif, look, picture, segment
from support.traps import CANARY, TRAPS, canary
from support.ultrahdr import UltraHdr

PHOTO = after_soi(picture(), exif(6, canary("camera")), segment(0xFE, canary("com")))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    file.write_bytes(PHOTO)
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_the_command_writes_a_clean_file_under_its_own_name(photo: Path, out: Path) -> None:
    command = [str(Path(sys.executable).with_name("bucketops")), "strip", str(photo), "--output-dir", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = (out / "photo.jpg").read_bytes()
    assert CANARY not in result
    assert look(result)[0] == 6
    assert photo.read_bytes() == PHOTO
    assert f"{photo}: clean, {len(PHOTO)} -> {len(result)} bytes; removed comment" in done.stdout
    assert "orientation 36" in done.stdout
    assert done.stderr == "1 clean, 0 not\n"


def test_json_tells_all_of_it(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hdr = photo.with_name("hdr.jpg")
    hdr.write_bytes(TRAPS["Ultra HDR"]().source)
    assert main(["strip", str(photo), str(hdr), "--output-dir", str(out), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["clean"] is True
    assert first["output"] == str(out / "photo.jpg")
    assert first["removed"]["comment"] == {"count": 1, "bytes": len(canary("com")) + 4}
    assert first["kept"]["orientation"] == {"count": 1, "bytes": 36}
    assert (first["orientation"], first["losses"]) == (6, [])
    assert (first["sourceBytes"], first["cleanBytes"]) == (len(PHOTO), (out / "photo.jpg").stat().st_size)
    assert second["losses"] == ["hdr_dropped"]


def test_a_refused_file_ends_with_1_and_the_others_are_clean(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, png = photo.with_name("broken.jpg"), photo.with_name("png.jpg")
    broken.write_bytes(PHOTO[:-30])
    png.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["strip", str(broken), str(png), str(photo), "--output-dir", str(out)]) == 1
    told = capsys.readouterr()
    assert f"{broken}: refused, Truncated: the file ends inside a scan" in told.out
    assert f"{png}: refused, NotJpeg: the content is no JPEG picture: it is PNG" in told.out
    assert told.err == "1 clean, 2 not\n"
    assert [file.name for file in out.iterdir()] == ["photo.jpg"]


def test_a_result_of_an_earlier_time_is_replaced_but_never_by_a_refused_file(photo: Path, out: Path) -> None:
    assert main(["strip", str(photo), "--output-dir", str(out)]) == 0
    first = (out / "photo.jpg").read_bytes()
    photo.write_bytes(PHOTO[:-30])
    assert main(["strip", str(photo), "--output-dir", str(out)]) == 1
    assert (out / "photo.jpg").read_bytes() == first
    photo.write_bytes(picture("L"))
    assert main(["strip", str(photo), "--output-dir", str(out)]) == 0
    assert (out / "photo.jpg").read_bytes() == picture("L")


def test_the_options_of_the_api(photo: Path, out: Path) -> None:
    assert main(["strip", str(photo), "--output-dir", str(out), "--orientation", "drop", "--icc-profile", "Drop"]) == 0
    assert look((out / "photo.jpg").read_bytes()) == (1, b"")
    assert main(["strip", str(photo), "--output-dir", str(out), "--max-object-bytes", "1k"]) == 1


def test_a_gain_map_can_be_kept(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hdr = photo.with_name("hdr.jpg")
    hdr.write_bytes(UltraHdr().file())
    assert main(["strip", str(hdr), "--output-dir", str(out), "--hdr-gain-map", "keep", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["losses"], told["rotated"]) == ([], False)
    assert told["kept"]["gain_map"] == {"count": 1, "bytes": len(UltraHdr().gain_map)}
    assert CANARY not in (out / "hdr.jpg").read_bytes()


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = photo.with_name("pipe.jpg")
    os.mkfifo(pipe)
    (photo.with_name("folder.jpg")).mkdir()
    files = [pipe, photo.with_name("folder.jpg"), photo.with_name("missing.jpg"), photo]
    assert main(["strip", *map(str, files), "--output-dir", str(out), "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["reason"] for record in told] == ["NotDone", "NotDone", "NotDone", ""]
    assert "no regular file" in told[0]["message"]
    assert "No such file" in told[2]["message"]


def usage(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["strip", *arguments])
    return ended.value.code


def test_bad_usage_ends_with_64(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage([str(photo)]) == 64
    assert usage(["--output-dir", str(out)]) == 64
    assert usage([str(photo), "--output-dir", str(out), "--orientation", "Turn"]) == 64
    assert "'Turn' is none of Keep, Drop, Rotate" in capsys.readouterr().err
    assert usage([str(photo), "--output-dir", str(out), "--icc-profile", "Rotate"]) == 64
    assert "'Rotate' is none of Keep, Drop" in capsys.readouterr().err
    assert main(["strip", str(photo), "--output-dir", str(out), "--max-object-bytes", "much"]) == 64
    assert "write bytes or a quantity such as 512Mi" in capsys.readouterr().err
    assert not out.exists()


def test_two_inputs_of_one_name_are_an_error_that_says_so(
    photo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photo.parent / "b").mkdir()
    other = photo.parent / "b" / "photo.jpg"
    other.write_bytes(picture())
    assert main(["strip", str(photo), str(other), "--output-dir", str(out)]) == 64
    assert "two files are named 'photo.jpg'" in capsys.readouterr().err
    assert not out.exists()


def test_an_input_is_never_written_over(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strip", str(photo), "--output-dir", str(photo.parent)]) == 64
    assert "choose another folder" in capsys.readouterr().err
    (photo.parent / "link").symlink_to(photo.parent)
    assert main(["strip", str(photo), "--output-dir", str(photo.parent / "link")]) == 64
    out.mkdir()
    (out / "photo.jpg").symlink_to(photo)
    assert main(["strip", str(photo), "--output-dir", str(out)]) == 1
    assert "would be written over" in capsys.readouterr().out
    assert photo.read_bytes() == PHOTO


def test_an_output_folder_that_cannot_be_is_an_error(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strip", str(photo), "--output-dir", str(photo)]) == 64
    assert "cannot be used: File exists" in capsys.readouterr().err


def test_a_crash_leaves_no_half_file(photo: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(core, "verify", crash)
    with pytest.raises(KeyboardInterrupt):
        main(["strip", str(photo), "--output-dir", str(out)])
    assert list(out.iterdir()) == []


def test_results_have_the_rights_that_new_files_have(photo: Path, out: Path) -> None:
    before = os.umask(0o027)
    try:
        main(["strip", str(photo), "--output-dir", str(out)])
    finally:
        os.umask(before)
    assert stat.S_IMODE((out / "photo.jpg").stat().st_mode) == 0o640


def test_a_name_cannot_play_tricks_on_a_terminal(photo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = photo.rename(photo.with_name("a\x1b[2Jb\n.jpg"))
    main(["strip", str(evil), "--output-dir", str(out)])
    told = capsys.readouterr().out
    assert "a\\x1b[2Jb\\n.jpg: clean" in told
    assert told.count("\n") == 1
