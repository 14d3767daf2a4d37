"""Conditions are tried wrong and right, on stores in memory that misunderstand one or the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import pytest

from bucketops_api.reasons import Reason
from bucketops_jobs.errors import (
    DeniedError,
    NotSupportedError,
    PreconditionFailedError,
    TransientError,
    UserError,
    WorkerError,
)
from bucketops_jobs.s3 import conditions
from bucketops_jobs.s3.capabilities import Capabilities, probe, probe_source
from bucketops_jobs.s3.conditions import Honoured
from bucketops_jobs.s3.fake import FakeServer, FakeStore
from bucketops_jobs.s3.keyforms import EMPTY_SEGMENT, SAMPLES
from bucketops_jobs.s3.store import ABSENT, ANYTHING, Expect, Object


class Odd(FakeStore):
    """Takes an ETag without quotes, or none at all; may ignore conditions, fold names and have one ETag for all."""

    def __init__(self, **how: bool) -> None:
        super().__init__(FakeServer({"b": {}}), "b")
        self.how = how

    def put(self, key: str, body: BinaryIO | bytes, headers: Mapping[str, str], expect: Expect = ANYTHING) -> str:
        if expect.etag and self.how.get("unknown"):
            raise NotSupportedError("501")
        if expect.etag and (self.how.get("never") or expect.bare is not self.how.get("bare", False)):
            raise PreconditionFailedError("412")
        ignored = self.how.get("ignores_absent") and expect.absent
        if self.how.get("folds"):
            key = key.replace("//", "/").replace("/./", "/").replace("\\", "/")
            body = b"" if key.endswith("/") else body
        return super().put(key, body, headers, ANYTHING if ignored else expect)

    def head(self, key: str) -> Object | None:
        found = super().head(key)
        return found._replace(etag="1" * 32) if found and self.how.get("constant") else found

    def delete(self, objects: Iterable[Object], *, conditional: bool, **how: Any) -> dict[str, WorkerError]:
        objects = list(objects)
        if conditional and self.how.get("never"):
            return {entry.key: PreconditionFailedError("412") for entry in objects}
        return super().delete(objects, conditional=conditional, **how)


@pytest.mark.parametrize(
    ("how", "honoured"),
    [
        ({}, Honoured(if_absent=True, if_match=True)),
        ({"bare": True}, Honoured(if_absent=True, if_match=True, bare=True)),
        ({"never": True}, Honoured(if_absent=True)),
        ({"unknown": True}, Honoured(if_absent=True)),
        ({"ignores_absent": True}, Honoured(if_match=True)),
    ],
)
def test_each_condition_is_probed_wrong_and_right(how: dict[str, bool], honoured: Honoured) -> None:
    store = Odd(**how)
    store.put("there", b"x", {})
    found = conditions.probe(store, lambda key, expect: store.put(key, b"y", {}, expect), "there", "not-there")
    assert found == honoured


def test_a_server_that_refuses_the_right_etag_honours_no_if_match() -> None:
    found = probe(Odd(never=True), ".bucketops/")
    assert (found.put_if_absent, found.put_if_match, found.delete_if_match) == (True, False, False)
    assert found.put_holds(ABSENT) == ABSENT
    assert found.put_holds(Expect(etag="a")) is None
    assert found.facts()["conditionalOverwrite"] == "no"


def test_etags_go_as_the_server_understands_them() -> None:
    found = probe(Odd(bare=True), ".bucketops/")
    assert found.put_holds(Expect(etag="a")) == Expect(etag="a", bare=True)


def test_names_that_a_server_changes_are_found_and_nothing_stays() -> None:
    store = Odd(folds=True)
    assert set(probe(store, ".bucketops/").renamed) == {*SAMPLES}
    assert list(store.keys("")) == []
    assert probe(Odd(), ".bucketops/").renamed == ()


@pytest.mark.parametrize(
    "error",
    [
        UserError(Reason.ACCESS_DENIED, "SignatureDoesNotMatch: a proxy has folded the path"),
        DeniedError("403: a firewall"),
        TransientError("500"),
    ],
)
def test_names_that_are_refused_in_any_way_stop_no_run(error: WorkerError, monkeypatch: pytest.MonkeyPatch) -> None:
    store, put = Odd(), FakeStore.put

    def refuse(self: FakeStore, key: str, *args: Any) -> str:
        if "//" in key:
            raise error
        return put(self, key, *args)

    monkeypatch.setattr(FakeStore, "put", refuse)
    assert probe(store, ".bucketops/").renamed == (EMPTY_SEGMENT,)


@pytest.mark.parametrize("look", [probe, probe_source])
def test_a_server_whose_etags_say_nothing_is_refused(look: Any) -> None:
    store = Odd(constant=True)
    with pytest.raises(UserError, match="the same ETag"):
        look(store, ".bucketops/")
    assert list(store.keys("")) == []


def test_no_write_depends_on_an_etag_that_is_empty() -> None:
    """Without it a request would have no condition at all."""
    with pytest.raises(WorkerError, match="no ETag"):
        Expect(etag="")


def test_what_is_not_probed_is_taken_for_what_it_always_was() -> None:
    can = Capabilities(copy_if_absent=False, put_if_absent=True, delete_if_match=False)
    assert (can.copy_holds(ABSENT), can.put_holds(ABSENT), can.completion_holds(ANYTHING)) == (None, ABSENT, ANYTHING)
