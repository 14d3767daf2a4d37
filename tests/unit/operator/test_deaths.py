"""Why a worker ended without a result, in words that help."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import names
from bucketops_api.contract import UnknownResultError
from bucketops_operator import deaths
from bucketops_operator.local_worker import ProcessAttempt


def line(level: str, message: str, **extra: str) -> str:
    return json.dumps({"time": "now", "level": level, "logger": "x", "message": message} | extra) + "\n"


START = line("info", "start", run="r")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -9 $$", "killed by SIGKILL: most often that is a lack of memory"),
        ("kill -SEGV $$", "killed by SIGSEGV: it crashed in native code"),
        ("kill -ABRT $$", "killed by SIGABRT: it crashed in native code"),
        ("exit 3", "exit code 3; nothing was logged"),
        ("exit 127", "exit code 127: its program does not exist"),
        (f"echo '{line('error', 'stopped', why='no space left').strip()}'; exit 1", "its last words: no space left"),
        (
            "echo Traceback; echo \"ModuleNotFoundError: No module named 'boto3'\"; exit 1",
            "ModuleNotFoundError: No mod",
        ),
        (f"echo '{START.strip()}'; kill -9 $$", "; its last words: start"),
    ],
)
def test_a_process_that_died_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    """Real processes; `sys.executable` is what is started as a worker."""
    attempt = started(tmp_path, monkeypatch, script)
    result = attempt.result()
    assert result.reason == "RunFailed"
    assert result.message.startswith("shard 0: ")
    assert words in result.message
    assert '"level"' not in result.message


@pytest.mark.parametrize("left", ["", "{", "text", '{"version": 7}', '{"runSha256": "another"}'])
def test_a_process_that_ended_well_without_a_readable_result_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    attempt = started(tmp_path, monkeypatch, f"printf '%s' '{left}' > ${names.ENV_RESULT}")
    with pytest.raises(UnknownResultError):
        attempt.result()


def started(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> ProcessAttempt:
    program = folder / "worker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / names.RUN_FILE).parent.mkdir()
    (folder / names.RUN_FILE).write_text("{}")
    monkeypatch.setattr(sys, "executable", str(program))
    attempt = ProcessAttempt(folder, 0, folder / "0-1")
    assert attempt.pid
    os.waitid(os.P_PID, attempt.pid, os.WEXITED | os.WNOWAIT)
    assert attempt.ended() is not None
    return attempt


def test_exit_codes_of_real_signals_are_the_same_in_both_forms() -> None:
    direct = subprocess.run(["/bin/sh", "-c", "kill -9 $$"], check=False).returncode
    assert deaths.by_code(direct) == deaths.by_code(137)


CONTAINER: dict[str, Any] = {"exitCode": 1, "reason": "Error", "message": ""}


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, {}, "OOMKilled: raise worker.template.resources.limits.memory"),
        ({"exitCode": 137}, {}, "killed by SIGKILL: most often that is a lack of memory"),
        ({"exitCode": 139}, {}, "killed by SIGSEGV"),
        ({"exitCode": 2}, {}, "exit code 2"),
        ({"exitCode": 128, "reason": "StartError", "message": "no such file"}, {}, "StartError: the container could"),
        ({"message": START + line("error", "stopped", why="no space left")}, {}, "its last words: no space left"),
        ({"message": '"x", "message": "m", "why": "a \\"quoted\\" word", "ex'}, {}, 'last words: a "quoted" word'),
        ({"message": line("error", "failed", trace="Traceback\n  File\nKeyError: 'a'")}, {}, "failed: KeyError: 'a'"),
        (None, {"reason": "Evicted", "message": "The node was low on ephemeral-storage"}, "low on ephemeral-storage"),
        (None, {"reason": "DeadlineExceeded"}, "DeadlineExceeded: it was not done in the time"),
        (None, {"reason": "NodeShutdown", "message": "Pod was terminated"}, "NodeShutdown: Pod was terminated"),
        (None, {}, "the pod ended without a word of the kubelet"),
        (
            {"exitCode": 143},
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                             "message": "Eviction API: evicting"}]},
            "EvictionByEvictionAPI: Eviction API: evicting; killed by SIGTERM",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_died_is_explained(end: dict[str, Any] | None, status: dict[str, Any], words: str) -> None:
    told = deaths.of_container(CONTAINER | end if end is not None else {}, status)
    assert words in told
    assert '"level"' not in told


@pytest.mark.parametrize("log", ['x, "why": "\\q"', '"message": "\\u12"', '{"level": [], "message": "m"}'])
def test_a_line_that_nobody_of_ours_wrote_is_quoted_too(log: str) -> None:
    assert deaths.last_words(log)


@given(st.text(max_size=300) | st.builds(line, st.text(max_size=9), st.text(max_size=99)).map(lambda text: text[5:]))
def test_whatever_a_log_says_is_quoted_within_bounds(log: str) -> None:
    assert len(deaths.last_words(log)) <= deaths.MOST
