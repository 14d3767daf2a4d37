"""The demo's edges: what it refuses, what it removes from its environment, what it says without its wheels."""

from __future__ import annotations

import fcntl
import os
import signal
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path

import pytest

from bucketops.__main__ import main
from bucketops.demo import command, ending, programs, story, users
from bucketops.demo.errors import DemoError
from bucketops.demo.site import Amounts
from bucketops_operator.run.workspace import locked_folder

EXAMPLE = Path(__file__).parents[2] / "manifests/examples/s3migration.yaml"


def test_the_demo_shows_the_example_itself() -> None:
    assert Path(story.__file__).with_name("s3migration.yaml").read_text() == EXAMPLE.read_text()


@pytest.mark.parametrize("given", ["0", "-1", "many", "1000001", "²"])
def test_an_amount_that_is_none_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--objects", given])
    assert ended.value.code == 64
    assert "write a number from 1 to 1000000" in capsys.readouterr().err


def test_a_wheel_that_is_not_there_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", absent)
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    for find in (programs.weed, programs.postgres):
        with pytest.raises(DemoError, match=r"pip install 'bucketops\[demo\]'(.|\n)*make demo ENGINE=kind"):
            find()


def test_a_disk_that_is_too_small_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(story, "NEEDED", 1 << 60)
    assert main(["demo"]) == 1
    assert "set TMPDIR to a folder on a larger disk" in capsys.readouterr().err


def test_variables_that_lead_clients_elsewhere_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "PGHOST", "HTTPS_PROXY", "all_proxy", "WEED_S3_SSE"):
        monkeypatch.setenv(name, "elsewhere")
    command.forget_settings()
    assert "elsewhere" not in os.environ.values()


def test_root_takes_a_folder_that_nobody_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "of_servers", lambda: (65534, 65534))
    monkeypatch.setattr(users.tempfile, "gettempdir", lambda: str(tmp_path))
    tmp_path.chmod(0o700)
    assert users.temporary_folder() == Path("/tmp")  # noqa: S108 - the same as there


def test_a_folder_stays_as_long_as_a_server_holds_its_lock(tmp_path: Path) -> None:
    """As after a SIGKILL of the demo, before its servers have ended."""
    folder = tmp_path / "demo-dead"
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with locked_folder("demo-", tmp_path):
        assert folder.exists()
    os.close(held)
    with locked_folder("demo-", tmp_path):
        assert not folder.exists()


def test_an_interrupt_that_a_destructor_swallows_ends_the_demo_all_the_same() -> None:
    with ending.ended_by_signals() as end:

        class Swallows:
            def __del__(self) -> None:
                with suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGTERM)

        Swallows()
        with pytest.raises(KeyboardInterrupt):
            end.require_going()


def test_signals_do_not_disturb_the_cleaning_up() -> None:
    with ending.ended_by_signals():
        with ending.then_undisturbed():
            pass
        try:
            for number in ending.SIGNALS:
                signal.raise_signal(number)
        except KeyboardInterrupt:
            pytest.fail("a signal has interrupted")


def test_rows_name_all_pictures_and_some_twice() -> None:
    amounts = Amounts(legacy=40, modern=2)
    paths = list(amounts.paths())
    assert len(paths) == amounts.rows == 52
    assert set(paths) == {path for path, _ in amounts.objects()}
