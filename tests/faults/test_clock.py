"""A clock that is an hour wrong: nothing is deleted by it, and whoever reads the message knows what to mend."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_api import names
from support.avatars import LEGACY, MODERN, Reader, name
from support.command import apart
from support.driver import condition

OBJECTS = 60


def shifted(hours: str) -> dict[str, str]:
    """The environment of programs whose clock is wrong by so much: https://github.com/wolfcw/libfaketime."""
    faketime = shutil.which("faketime")
    assert faketime, "no faketime on this machine: run `python3 tests/cluster packages`"
    command = [faketime, "-f", hours, "env"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith(("LD_PRELOAD=", "FAKETIME")))


def run(command: list[str], **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, status and what was said to people."""
    done = subprocess.run(
        [*command, "--output", "yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | environment,
    )
    return done.returncode, yaml.safe_load(done.stdout) or {}, done.stderr


@pytest.mark.parametrize("hours", ["+1h", "-1h"])
def test_workers_whose_clock_is_wrong_touch_nothing_and_name_the_clock(lab: Any, tmp_path: Path, hours: str) -> None:
    """Everything goes its way once the clock is right."""
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    command = apart(lab, tmp_path, lab.spec())
    before = lab.world.keys(lab.world.source), lab.world.paths()
    code, status, said = run(command, **shifted(hours))
    assert code == names.EXIT_USER, said
    (stalled,) = [c for c in status["conditions"] if c["type"] == "Stalled"]
    assert stalled["reason"] == "ClockSkew"
    assert "set the wrong clock (NTP)" in stalled["message"]
    assert (lab.world.keys(lab.world.source), lab.world.paths()) == before
    code, status, said = run(command)
    assert code == 0, said
    assert status["outcomes"]["moved"] == OBJECTS
    assert lab.world.keys(lab.world.source) == {}


def test_an_operator_that_is_an_hour_ahead_does_not_shorten_the_grace(lab: Any) -> None:
    """It asks for the deletion at once; the workers look at their own clock, and at the store's."""
    lab.world.seed(legacy=range(1, OBJECTS + 1))
    driver = lab.drive(lab.spec(cleanup={"policy": "Delete", "grace": "6s"}))
    driver.ahead = timedelta(hours=1)
    with Reader(lab.world) as reader:
        asked = driver.until(lambda status: any(run["phase"] == "delete" for run in status.get("runs", ())))
        due = datetime.fromisoformat(asked["deleteAfter"])
        assert datetime.now(UTC) < due, "the operator did not ask too early"
        driver.until(lambda _: len(lab.world.keys(lab.world.source)) < OBJECTS)
        assert datetime.now(UTC) >= due
        status = driver.finish()
    assert condition(status, "Complete"), status
    assert reader.wrong == []
    assert set(lab.world.keys(lab.world.destination)) == {MODERN + name(n) for n in range(1, OBJECTS + 1)}
    assert not [path for path in lab.world.paths() if path.startswith(LEGACY)]
