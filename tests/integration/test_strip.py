"""The stripper before independent judges: libjpeg's own decoder, and exiftool, which knows more metadata than anyone.

djpeg ends with 0 only if libjpeg had nothing to say; a warning makes it 2, an error 1.
"""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bucketops_jobs.exif.strip import strip
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, Verdict
from support import corpus
from support.jpegs import picture
from support.traps import CANARY, TRAPS, Trap, canary
from support.ultrahdr import UltraHdr, hdrgm, iso

ALLOWED = {
    "SourceFile",
    "ExifTool:ExifToolVersion",
    "File:BitsPerSample",
    "File:ColorComponents",
    "File:EncodingProcess",
    "File:ExifByteOrder",
    "File:FileType",
    "File:FileTypeExtension",
    "File:ImageHeight",
    "File:ImageWidth",
    "File:MIMEType",
    "File:YCbCrSubSampling",
    "System:Directory",
    "System:FileAccessDate",
    "System:FileInodeChangeDate",
    "System:FileModifyDate",
    "System:FileName",
    "System:FilePermissions",
    "System:FileSize",
    "IFD0:Orientation",
    "JFIF:JFIFVersion",
    "JFIF:ResolutionUnit",
    "JFIF:XResolution",
    "JFIF:YResolution",
    "Adobe:APP14Flags0",
    "Adobe:APP14Flags1",
    "Adobe:ColorTransform",
    "Adobe:DCTEncodeVersion",
    "ICC-chrm:ChromaticityChannel1",
    "ICC-chrm:ChromaticityChannel2",
    "ICC-chrm:ChromaticityChannel3",
    "ICC-chrm:ChromaticityChannels",
    "ICC-chrm:ChromaticityColorant",
    "ICC-header:CMMFlags",
    "ICC-header:ColorSpaceData",
    "ICC-header:ConnectionSpaceIlluminant",
    "ICC-header:DeviceAttributes",
    "ICC-header:DeviceManufacturer",
    "ICC-header:DeviceModel",
    "ICC-header:PrimaryPlatform",
    "ICC-header:ProfileCMMType",
    "ICC-header:ProfileClass",
    "ICC-header:ProfileConnectionSpace",
    "ICC-header:ProfileCreator",
    "ICC-header:ProfileDateTime",
    "ICC-header:ProfileFileSignature",
    "ICC-header:ProfileID",
    "ICC-header:ProfileVersion",
    "ICC-header:RenderingIntent",
    "ICC-meas:MeasurementBacking",
    "ICC-meas:MeasurementFlare",
    "ICC-meas:MeasurementGeometry",
    "ICC-meas:MeasurementIlluminant",
    "ICC-meas:MeasurementObserver",
    "ICC-view:ViewingCondIlluminant",
    "ICC-view:ViewingCondIlluminantType",
    "ICC-view:ViewingCondSurround",
    "ICC_Profile:AToB0",
    "ICC_Profile:AToB1",
    "ICC_Profile:AToB2",
    "ICC_Profile:BToA0",
    "ICC_Profile:BToA1",
    "ICC_Profile:BToA2",
    "ICC_Profile:BlueMatrixColumn",
    "ICC_Profile:BlueTRC",
    "ICC_Profile:ChromaticAdaptation",
    "ICC_Profile:DeviceMfgDesc",
    "ICC_Profile:DeviceModelDesc",
    "ICC_Profile:Gamut",
    "ICC_Profile:GreenMatrixColumn",
    "ICC_Profile:GreenTRC",
    "ICC_Profile:Luminance",
    "ICC_Profile:MediaBlackPoint",
    "ICC_Profile:MediaWhitePoint",
    "ICC_Profile:ProfileCopyright",
    "ICC_Profile:ProfileDescription",
    "ICC_Profile:RedMatrixColumn",
    "ICC_Profile:RedTRC",
    "ICC_Profile:Technology",
    "ICC_Profile:ViewingCondDesc",
}
"""What exiftool may see in a result: the file itself, its coding, the four things that belong to its look."""


@dataclass(frozen=True)
class Stripped:
    """A file before and after; `result` is empty if it was refused."""

    name: str
    source: bytes
    verdict: Verdict
    result: bytes


def _stripped(name: str, source: bytes) -> Stripped:
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink)
    return Stripped(name, source, verdict, sink.getvalue())


@pytest.fixture(scope="module")
def real() -> list[Stripped]:
    return [_stripped(file.name, file.read_bytes()) for file in corpus.FILES]


@pytest.fixture(scope="module")
def traps() -> list[Stripped]:
    return [_stripped(name, trap().source) for name, trap in TRAPS.items()]


def decoded(jpeg: bytes) -> tuple[int, bytes]:
    """djpeg's exit code and its pixels; more than memory would hold is an error of its own."""
    done = subprocess.run(["djpeg", "-pnm"], input=jpeg, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout


def read_metadata(files: list[Stripped], folder: Path) -> Iterator[tuple[Stripped, dict[str, Any]]]:
    """All that exiftool finds, embedded and unknown things too, each once for every time it is there."""
    by_name = {f"{number}.jpg": file for number, file in enumerate(files)}
    for name, file in by_name.items():
        (folder / name).write_bytes(file.result)
    command = ["exiftool", "-json", "-groupNames:1", "-duplicates", "-unknown", "-extractEmbedded3", "-n", "-e", "-q"]
    told = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False, timeout=300)
    records = json.loads(told.stdout)
    assert len(records) == len(files)
    for record in records:
        yield by_name[Path(record["SourceFile"]).name], record


def clean(files: list[Stripped]) -> list[Stripped]:
    return [file for file in files if file.verdict.clean]


@corpus.needed
def test_every_real_file_that_libjpeg_reads_without_a_warning_comes_out_with_the_same_pixels(
    real: list[Stripped],
) -> None:
    silent = 0
    for file in real:
        code, pixels = decoded(file.source)
        if code == 0:
            silent += 1
            assert file.verdict.clean, (file.name, file.verdict.message)
            assert decoded(file.result) == (0, pixels), file.name
        elif file.verdict.clean:
            assert decoded(file.result)[1] == pixels, file.name
    assert silent >= len(real) // 2


def test_every_trap_comes_out_with_the_same_pixels_and_without_a_new_warning(traps: list[Stripped]) -> None:
    for file in traps:
        code, pixels = decoded(file.source)
        result, after = decoded(file.result)
        assert after == pixels, file.name
        assert result in {0, code}, file.name


@corpus.needed
def test_every_real_file_is_clean_or_refused_with_a_reason(real: list[Stripped]) -> None:
    for file in real:
        assert file.verdict.clean == bool(file.result)
        assert file.verdict.clean or (file.verdict.refusal in set(Refusal) and file.verdict.message)


@corpus.needed
def test_exiftool_sees_nothing_but_what_is_allowed_in_real_files(real: list[Stripped], tmp_path: Path) -> None:
    for file, record in read_metadata(clean(real), tmp_path):
        assert set(record) <= ALLOWED, file.name


def test_exiftool_sees_nothing_but_what_is_allowed_in_the_traps(traps: list[Stripped], tmp_path: Path) -> None:
    for file, record in read_metadata(clean(traps), tmp_path):
        assert set(record) <= ALLOWED, file.name
        assert CANARY not in file.result


def test_exiftool_would_have_seen_them(tmp_path: Path) -> None:
    """The test of the test: before, there is plenty to see."""
    files = [Stripped(name, b"", Verdict(None, "", None, 0), trap().source) for name, trap in TRAPS.items()]  # type: ignore[arg-type]
    seen = {key for _, record in read_metadata(files, tmp_path) for key in set(record) - ALLOWED}
    assert {"File:Comment", "IFD0:Make", "XMP-hdrgm:Version", "Trailer:Samsung"} & seen >= {"File:Comment", "IFD0:Make"}


HDR = {
    "XMP-hdrgm:BaseRenditionIsHDR",
    "XMP-hdrgm:GainMapMax",
    "XMP-hdrgm:GainMapMin",
    "XMP-hdrgm:Gamma",
    "XMP-hdrgm:HDRCapacityMax",
    "XMP-hdrgm:HDRCapacityMin",
    "XMP-hdrgm:OffsetHDR",
    "XMP-hdrgm:OffsetSDR",
    "XMP-hdrgm:Version",
    "XMP-Container:DirectoryItemLength",
    "XMP-Container:DirectoryItemMime",
    "XMP-Container:DirectoryItemSemantic",
    "MPF0:MPFVersion",
    "MPF0:NumberOfImages",
    "MPImage1:DependentImage1EntryNumber",
    "MPImage1:DependentImage2EntryNumber",
    "MPImage1:MPImageFlags",
    "MPImage1:MPImageFormat",
    "MPImage1:MPImageLength",
    "MPImage1:MPImageStart",
    "MPImage1:MPImageType",
    "MPImage2:DependentImage1EntryNumber",
    "MPImage2:DependentImage2EntryNumber",
    "MPImage2:MPImageFlags",
    "MPImage2:MPImageFormat",
    "MPImage2:MPImageLength",
    "MPImage2:MPImageStart",
    "MPImage2:MPImageType",
    "MPImage2:MPImage2",
}
"""What it may see besides, where a gain map is kept."""
UNKNOWN = "[minor] Unknown APP2 segment"
"""Debian 12's exiftool does not know ISO 21496-1."""


def test_exiftool_finds_a_kept_gain_map_where_the_index_says_and_nothing_else(tmp_path: Path) -> None:
    source = UltraHdr(map_segments=hdrgm() + iso()).file()
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink, Options(hdr_gain_map=Choice.KEEP))
    result = sink.getvalue()
    (tmp_path / "whole.jpg").write_bytes(result)
    command = ["exiftool", "-b", "-MPImage2", str(tmp_path / "whole.jpg")]
    second = subprocess.run(command, capture_output=True, check=True).stdout
    (tmp_path / "both").mkdir()
    files = [Stripped("whole", source, verdict, result), Stripped("second", source, verdict, second)]
    seen = {file.name: record for file, record in read_metadata(files, tmp_path / "both")}
    for record in seen.values():
        assert record.get("ExifTool:Warning", UNKNOWN) == UNKNOWN
        assert set(record) - ALLOWED <= HDR | {"ExifTool:Warning"}
    assert set(seen["whole"]) >= {"XMP-hdrgm:Version", "XMP-Container:DirectoryItemLength", "MPImage2:MPImageStart"}
    assert set(seen["second"]) >= {f"XMP-hdrgm:{name}" for name in ("Version", "GainMapMax", "HDRCapacityMax")}
    assert result.endswith(second)
    assert decoded(second) == decoded(UltraHdr().gain_map)
    assert decoded(second)[0] == 0


@corpus.needed
def test_the_option_for_gain_maps_changes_nothing_in_real_files_without_one(real: list[Stripped]) -> None:
    for file in real:
        sink = io.BytesIO()
        verdict = strip(io.BytesIO(file.source), sink, Options(hdr_gain_map=Choice.KEEP))
        assert verdict.clean == file.verdict.clean, file.name
        assert sink.getvalue() == file.result or "gain_map" in verdict.report.kept, file.name


@corpus.needed
def test_no_orientation_and_no_profile_of_a_real_file_is_lost(real: list[Stripped], tmp_path: Path) -> None:
    command = ["exiftool", "-json", "-n", "-q", "-fast2", "-IFD0:Orientation", "-ICC_Profile:ProfileCreator"]
    told = subprocess.run([*command, str(corpus.FOLDER)], capture_output=True, text=True, check=False, timeout=300)
    before = {Path(record["SourceFile"]).name: record for record in json.loads(told.stdout)}
    turned = profiles = 0
    for file, record in read_metadata(clean(real), tmp_path):
        source = before[file.name]
        orientation = source.get("Orientation", 1)
        assert record.get("IFD0:Orientation", 1) == (orientation if orientation in range(1, 9) else 1), file.name
        assert ("ICC-header:ProfileCreator" in record) == ("ProfileCreator" in source), file.name
        turned += orientation in range(2, 9)
        profiles += "ProfileCreator" in source
    assert turned > 0
    assert profiles > 0


CODINGS = {
    "arithmetic": ["-arithmetic"],
    "arithmetic and progressive": ["-arithmetic", "-progressive"],
    "restarts in every row": ["-restart", "1"],
    "progressive with restarts": ["-progressive", "-restart", "1"],
    "grey": ["-grayscale"],
    "RGB": ["-rgb"],
    "no subsampling": ["-sample", "1x1"],
    "optimized": ["-optimize"],
}


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding_of_libjpeg_comes_through(coding: str) -> None:
    encoded = subprocess.run(["cjpeg", *CODINGS[coding]], input=_bitmap(), capture_output=True, check=True).stdout
    hidden = b"\xff\xfe\x00\x1b" + canary("comment").ljust(25)
    file = _stripped(coding, encoded[:2] + hidden + encoded[2:])
    assert file.verdict.clean, file.verdict.message
    assert decoded(file.result) == decoded(encoded)
    assert decoded(encoded)[0] == 0
    assert CANARY not in file.result


def _bitmap() -> bytes:
    return subprocess.run(["djpeg", "-pnm"], input=picture(), capture_output=True, check=True).stdout


def test_a_trap_is_not_silent_by_accident() -> None:
    """The test of the test: djpeg tells warnings."""
    trap: Trap = TRAPS["garbage between segments"]()
    assert decoded(trap.source)[0] == 2
    assert decoded(picture())[0] == 0
    assert decoded(picture()[:-400])[0] == 2
