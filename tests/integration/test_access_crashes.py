"""A worker may die after any of its calls to the server: the next attempt finds what is there and goes on."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
from minio import MinioAdmin

from bucketops_api.privileges.access import claim
from support.access import AccessLab, delete, matrix, settled
from support.driver import Driver, condition

pytestmark = pytest.mark.slow

MOST_CALLS = 40
STRIDE = 3
"""Every third call, for the sake of time."""


class Crash:
    """The nth call to the admin API is made, and its caller dies before it learns the answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.calls, self.happened = 0, 0, False
        made = MinioAdmin._url_open  # noqa: SLF001

        def url_open(admin: MinioAdmin, **call: Any) -> Any:
            answer = made(admin, **call)
            if threading.current_thread() is threading.main_thread():
                return answer  # the test looks by itself
            self.calls += 1
            if self.calls == self.at:
                self.happened = True
                raise RuntimeError("killed")
            return answer

        monkeypatch.setattr(MinioAdmin, "_url_open", url_open)

    def after(self, call: int) -> None:
        self.at, self.calls, self.happened = call, 0, False


def granted(lab: AccessLab, driver: Driver) -> None:
    status = driver.finish()
    assert condition(status, "Ready"), status
    assert all(matrix(lab.user(driver), lab.name("bucket-a")).values())
    assert len(lab.keys(driver.resource.spec["user"])) == 1


def rotated(lab: AccessLab, driver: Driver) -> None:
    driver.change(driver.resource.spec | {"rotate": "now"})
    driver.until(lambda status: status.get("rotated") == "now" and settled(status) and condition(status, "Ready"))
    assert all(matrix(lab.user(driver), lab.name("bucket-a")).values())
    assert len(lab.keys(driver.resource.spec["user"])) == 2


def revoked(lab: AccessLab, driver: Driver) -> None:
    delete(driver)
    user = driver.resource.spec["user"]
    assert user not in [(claim(name) or ("",))[0] for name in json.loads(lab.root.policy_list())]
    assert user not in json.loads(lab.root.user_list())


@pytest.mark.parametrize("step", [granted, rotated, revoked], ids=lambda step: step.__name__)
def test_a_crash_after_any_call_is_made_good(
    access_lab: AccessLab, monkeypatch: pytest.MonkeyPatch, step: Callable[[AccessLab, Driver], None]
) -> None:
    lab, crash, died = access_lab, Crash(monkeypatch), 0
    for call in range(1, MOST_CALLS, STRIDE):
        lab.token = secrets.token_hex(4)
        driver = lab.drive(lab.spec(deletionPolicy="Delete"))
        if step is not granted:
            driver.finish()
        crash.after(call)
        step(lab, driver)
        died += crash.happened
        if not crash.happened:
            break
    assert died >= 3
    assert not crash.happened, "there are calls that nobody has died after"
