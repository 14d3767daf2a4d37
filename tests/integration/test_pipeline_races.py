"""What is written to source or destination in the very middle of cleaning one picture, on a real MinIO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bucketops_jobs.pipeline.cleaner import Cleaner, Outcome
from bucketops_jobs.pipeline.notes import Notes
from support.pipeline import SCHEDULED, PipelineLab, photo, stripped

pytestmark = pytest.mark.slow

OLD, NEW = photo("old", 16), photo("new", 24)


@dataclass
class Meddled:
    """A store in front of a real one: once, right before or after a call, something else happens."""

    store: Any
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    after: dict[str, Callable[[], object]] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    """Calls that went well."""

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.store, name)

        def call(*args: Any, **given: Any) -> Any:
            self.before.pop(name, lambda: None)()
            answer = real(*args, **given)
            self.answered.append(name)
            self.after.pop(name, lambda: None)()
            return answer

        return call if callable(real) else real


def test_a_picture_that_is_replaced_while_it_is_read_is_looked_at_again(pipeline_lab: PipelineLab) -> None:
    """Its event may have come, and gone, before the older result was written: nobody else would tell."""
    pipeline_lab.put("a.jpg", OLD)
    with pipeline_lab.opened() as plain:
        source = Meddled(plain.source, after={"get": lambda: pipeline_lab.put("a.jpg", NEW)})
        assert Cleaner(replace(plain, source=source)).settle("a.jpg") is Outcome.PROCESSED  # type: ignore[arg-type]
    assert pipeline_lab.get("a.jpg") == stripped(NEW)


def test_a_picture_that_is_replaced_between_look_and_read_never_bears_the_mark_of_the_older_one(
    pipeline_lab: PipelineLab,
) -> None:
    first = pipeline_lab.put("a.jpg", OLD)
    written: list[str] = []
    with pipeline_lab.opened() as plain:
        source = Meddled(plain.source, before={"get": lambda: pipeline_lab.put("a.jpg", NEW)})
        note = lambda: written.append(pipeline_lab.head("a.jpg")["Metadata"]["bucketops-source-etag"])  # noqa: E731
        destination = Meddled(plain.destination, after={"put": note})
        changed = replace(plain, source=source, destination=destination)  # type: ignore[arg-type]
        assert Cleaner(changed).settle("a.jpg") is Outcome.PROCESSED
    assert first not in written
    assert pipeline_lab.get("a.jpg") == stripped(NEW)


def test_an_older_result_is_never_written_over_a_newer_one(pipeline_lab: PipelineLab) -> None:
    """Another pod was faster: what this one has made of the older picture is thrown away."""
    pipeline_lab.put("a.jpg", OLD)
    with pipeline_lab.opened() as plain:

        def faster() -> None:
            pipeline_lab.put("a.jpg", NEW)
            Cleaner(plain).settle("a.jpg")

        destination = Meddled(plain.destination, before={"put": faster})
        assert Cleaner(replace(plain, destination=destination)).settle("a.jpg") is Outcome.CURRENT  # type: ignore[arg-type]
        assert "put" not in destination.answered
    assert pipeline_lab.get("a.jpg") == stripped(NEW)


def test_what_somebody_else_puts_in_the_way_meanwhile_is_kept(pipeline_lab: PipelineLab) -> None:
    pipeline_lab.put("a.jpg", OLD)
    with pipeline_lab.opened() as plain:
        theirs = {"put": lambda: pipeline_lab.put("a.jpg", b"somebody's", bucket=pipeline_lab.b)}
        destination = Meddled(plain.destination, before=theirs)
        assert Cleaner(replace(plain, destination=destination)).settle("a.jpg") is Outcome.CONFLICT  # type: ignore[arg-type]
    assert pipeline_lab.get("a.jpg") == b"somebody's"


class CrashError(BaseException):
    """SIGKILL, as a thread has it: nothing of ours catches it."""


def crash() -> None:
    raise CrashError


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("write", "first", "then"),
    [
        ("destination.put", b"", NEW),
        ("destination.put", OLD, NEW),
        ("destination.put", b"no picture", NEW),
        ("notes.remove", b"no picture", NEW),
        ("notes.put", b"", b"no picture"),
        ("notes.put", OLD, b"no picture"),
    ],
)
def test_whoever_is_killed_at_a_write_leaves_what_the_next_scheduled_sweep_makes_right(
    pipeline_lab: PipelineLab, moment: str, write: str, first: bytes, then: bytes
) -> None:
    place, _, call = write.partition(".")
    if first:
        pipeline_lab.put("a.jpg", first)
        pipeline_lab.sweep(run=SCHEDULED)
    pipeline_lab.put("a.jpg", then)
    with pipeline_lab.opened() as plain:
        if place == "notes":
            meddled = Meddled(plain.notes.store, **{moment: {call: crash}})
            killed = replace(plain, notes=Notes(meddled, plain.notes.prefix))  # type: ignore[arg-type]
        else:
            killed = replace(plain, destination=Meddled(plain.destination, **{moment: {call: crash}}))  # type: ignore[arg-type]
        with pytest.raises(CrashError):
            Cleaner(killed).settle("a.jpg")
    pipeline_lab.sweep(run=SCHEDULED)
    clean = then if then == NEW else first
    assert pipeline_lab.keys(pipeline_lab.b) == ({"a.jpg"} if clean else set())
    assert not clean or pipeline_lab.get("a.jpg") == stripped(clean)
    assert pipeline_lab.keys(pipeline_lab.q) == (set() if then == NEW else {"pictures/a.jpg"})
