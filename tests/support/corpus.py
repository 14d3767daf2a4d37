"""Real and deliberately broken JPEG files, where the machine has them: beside the project, in shared/exif-corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "exif-corpus"
FILES = sorted(file for file in FOLDER.glob("*.*") if file.suffix.lower() == ".jpg") if FOLDER.is_dir() else []
needed = pytest.mark.skipif(not FILES, reason=f"there is no {FOLDER}")
