"""Coverage-guided fuzzing of the stripper, by hand, in an environment that has atheris (no dependency of the project).

    python3 -m venv /tmp/atheris && /tmp/atheris/bin/pip install atheris
    PYTHONPATH=api/src:jobs/src /tmp/atheris/bin/python tests/fuzz/strip.py -max_total_time=600 CORPUS [SEEDS]

`make fuzz` needs nothing but the project itself, and mutates with hypothesis.
"""

from __future__ import annotations

import io
import sys

import atheris

with atheris.instrument_imports(include=["bucketops_jobs.exif"]):
    from bucketops_jobs.exif.strip import strip
    from bucketops_jobs.exif.verdict import Options

OPTIONS = Options(max_segments=500)


def once(source: bytes) -> None:
    """Clean and stable, or refused and empty; anything else is a find."""
    sink = io.BytesIO()
    verdict = strip(io.BytesIO(source), sink, OPTIONS)
    result = sink.getvalue()
    if not verdict.clean:
        assert not result
        return
    assert result.startswith(b"\xff\xd8")
    assert result.endswith(b"\xff\xd9")
    again = io.BytesIO()
    assert strip(io.BytesIO(result), again).clean
    assert again.getvalue() == result


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
