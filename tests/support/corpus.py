"""Real and deliberately broken JPEG files, where the machine has them: in shared/exif-corpus of a folder above."""

from __future__ import annotations

from pathlib import Path

import pytest

_PLACES = [above / "shared" / "exif-corpus" for above in Path(__file__).resolve().parents[3:]]
FOLDER = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
FILES = sorted(file for file in FOLDER.glob("*") if file.suffix.lower() == ".jpg")
needed = pytest.mark.skipif(not FILES, reason=f"there is no {FOLDER}")
