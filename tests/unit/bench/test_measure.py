"""What a run of a program is said to have taken."""

from __future__ import annotations

import sys

import pytest

from bench import measure

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = 0\\nfor i in range(10_000_000): x += i'])"


def test_the_processor_time_of_a_child_counts() -> None:
    """The parent alone does nothing but wait: without its child it would have used hardly more than an idle one."""
    idle = measure.run([sys.executable, "-c", "pass"], {}, 60)
    busy = measure.run([sys.executable, "-c", CHILD], {}, 60)
    assert busy.cpu > idle.cpu * 3


def test_the_memory_is_the_programs_own_and_not_that_of_the_process_that_started_it() -> None:
    ballast = bytearray(200 << 20)
    used = measure.run([sys.executable, "-c", "import time; x = bytearray(50 << 20); time.sleep(0.5)"], {}, 60)
    assert 50 < used.memory < 150
    assert len(ballast) == 200 << 20


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(measure.ProgramFailedError, match=r"exit code 3.*\n.*why"):
        measure.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], {}, 60)


def test_a_program_that_hangs_is_killed() -> None:
    with pytest.raises(measure.ProgramFailedError, match="exit code -9"):
        measure.run([sys.executable, "-c", "import time; time.sleep(60)"], {}, 0.5)
