"""`bucketops run`: the same migration on a laptop, with words and exit codes for people."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.avatars import LEGACY, MODERN, name
from support.cluster import wait_for
from support.command import beside
from support.gate import Gate

pytestmark = pytest.mark.slow


def run(command: list[str], seconds: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


@pytest.mark.parametrize("how", [[], ["--in-process"]], ids=["processes", "in one process"])
def test_a_whole_migration_ends_with_0_and_a_status(lab: Any, tmp_path: Path, how: list[str]) -> None:
    lab.world.seed(legacy=range(1, 21))
    done = run([*beside(lab, tmp_path, lab.spec()), "--output", "json", *how])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcomes"]["moved"] == 20
    assert "Copying" in done.stderr
    assert "Succeeded: 20 objects moved" in done.stderr
    assert lab.world.paths() == [MODERN + name(n) for n in range(1, 21)]


def test_in_process_means_that_a_breakpoint_in_the_worker_holds(lab: Any, tmp_path: Path) -> None:
    """What is set in the process of the command itself is met where a chunk is processed."""
    lab.world.seed(legacy=range(1, 4))
    script = (
        "import sys; from bucketops.__main__ import main; from bucketops_jobs.migration.chunk import Chunks\n"
        "step = Chunks.process\n"
        "Chunks.process = lambda *given: (print('held here'), step(*given))[1]\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    _, *arguments = beside(lab, tmp_path, lab.spec())
    done = run([sys.executable, "-c", script, *arguments, "--in-process"])
    assert done.returncode == 0, done.stderr
    assert "held here" in done.stdout


def test_a_plan_ends_with_0_and_writes_nothing(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 6))
    done = run([*beside(lab, tmp_path, lab.spec(mode="Plan")), "--in-process"])
    assert done.returncode == 0, done.stderr
    assert "5 objects would move" in done.stderr
    assert lab.world.keys(lab.world.destination) == {}


def test_a_conflict_ends_with_1(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 6))
    lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(3), Body=b"another")
    done = run([*beside(lab, tmp_path, lab.spec()), "--in-process"])
    assert done.returncode == 1
    assert "1 objects are in conflict" in done.stderr
    assert name(3) in done.stdout


@pytest.mark.parametrize(
    ("rows", "gone", "words"),
    [
        (range(1, 6), [3], "rows without an object: 1 (missingSource"),
        (range(1, 5), [], "moved objects without a row: 1:"),
    ],
    ids=["a row without an object", "an object without a row"],
)
def test_what_a_person_must_look_at_ends_with_1_and_says_what(
    lab: Any, tmp_path: Path, rows: range, gone: list[int], words: str
) -> None:
    """Everything else has moved, so the work is complete."""
    lab.world.seed(legacy=range(1, 6))
    for number in set(range(1, 6)) - set(rows):
        lab.world.sql("DELETE FROM avatars WHERE path = '" + LEGACY + name(number) + "'")  # noqa: S608 - no input
    for number in gone:
        lab.world.s3.delete_object(Bucket=lab.world.source, Key=LEGACY + name(number))
    done = run([*beside(lab, tmp_path, lab.spec()), "--in-process", "--output", "json"])
    assert done.returncode == 1, done.stderr
    assert words in done.stderr
    held = {c["type"]: c["message"] for c in json.loads(done.stdout)["conditions"] if c["status"] == "True"}
    assert words in held["Complete"]
    assert words in held["Degraded"]


def test_what_the_user_must_change_ends_with_64_and_says_what(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 3))
    spec = lab.spec()
    spec["database"]["references"][0]["table"] = "pictures"
    command = beside(lab, tmp_path, lab.spec())
    manifest, *rest = yaml.safe_load_all((tmp_path / "migration.yaml").read_text())
    (tmp_path / "migration.yaml").write_text(yaml.safe_dump_all([manifest | {"spec": spec}, *rest]))
    done = run([*command, "--in-process"])
    assert done.returncode == 64
    assert "table public.pictures with columns id and path does not exist" in done.stderr


WRONG = [
    ({"source": {"bucket": "X"}}, "spec.source.bucket"),
    ({"cleanup": {"grace": "24"}}, "write a duration such as"),
    ({"sorce": {}}, "spec.sorce: unknown field"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_an_invalid_file_is_refused_before_anything_is_done(
    lab: Any, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    done = run(beside(lab, tmp_path, lab.spec(**change), secrets=False))
    assert done.returncode == 64
    assert words in done.stderr


def test_a_secret_that_is_not_given_is_named(lab: Any, tmp_path: Path) -> None:
    done = run(beside(lab, tmp_path, lab.spec(), secrets=False))
    assert done.returncode == 64
    assert "Secret avatars-db is named in the spec: give it with --secret avatars-db=FILE.env" in done.stderr


def test_ctrl_c_stops_at_a_safe_point_and_the_same_command_goes_on(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 101))
    gate = Gate(lab.world, objects=100, workers=1, chunk=10)
    gate.reach(20)
    spec = lab.spec(chunk=10, worker={"parallelism": 1, "shards": 2, "concurrency": 4})
    command = beside(lab, tmp_path, spec)
    told = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        wait_for("20 %", lambda: gate.rewritten() >= 20)
        process.send_signal(signal.SIGINT)
        for line in process.stderr or ():
            told.append(line)
            if "stopping at a safe point" in line:
                gate.drain()
    assert process.returncode == 130
    assert sum("stopping at a safe point" in line for line in told) == 1
    paths = lab.world.paths()
    assert 40 <= sum(path.startswith(LEGACY) for path in paths) <= 80
    stored = lab.world.keys(lab.world.destination)
    assert all(path in stored for path in paths if path.startswith(MODERN))
    gate.open()
    done = run([*command, "--output", "yaml"])
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["outcomes"]["moved"] == 100


def test_no_secret_is_told(lab: Any, tmp_path: Path) -> None:
    lab.world.seed(legacy=range(1, 4))
    command = beside(lab, tmp_path, lab.spec())
    password = lab.user.password
    done = run([*command, "--output", "json"])
    assert done.returncode == 0
    assert password not in done.stdout + done.stderr
