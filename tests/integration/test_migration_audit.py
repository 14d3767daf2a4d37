"""The audit believes nobody: it looks afresh, and its findings decide."""

from __future__ import annotations

from typing import Any

from support.avatars import LEGACY, MODERN, name
from support.driver import condition, message, reason


def test_the_audit_finds_what_nobody_counted(lab: Any) -> None:
    """Right before it starts, a production object vanishes and a legacy row appears: both are named."""
    lab.world.seed(legacy=range(1, 21))
    driver = lab.drive(lab.spec())

    def sabotage() -> None:
        lab.world.s3.delete_object(Bucket=lab.world.destination, Key=MODERN + name(5))
        lab.world.insert([LEGACY + name(9)])

    status = driver.before("audit", sabotage).finish()
    assert reason(status, "Failed") == "AuditFailed", status
    assert not condition(status, "Complete")
    assert {sample["key"] for sample in status["samples"][:2]} == {name(5), name(9)}
    for named in (MODERN + name(5), name(9)):
        assert named in message(status, "Failed")
    assert status["progress"]["percent"] < 100
    assert status["audit"]["after"]["legacyRows"] == 1


def test_a_legacy_object_that_comes_after_the_delete_is_found(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    driver = lab.drive(lab.spec())
    status = driver.before("audit", lambda: lab.world.put_legacy([77])).finish()
    assert reason(status, "Failed") == "AuditFailed", status
    assert name(77) in message(status, "Failed")


def test_findings_stand_before_all_other_samples(lab: Any) -> None:
    """Thirty conflicts do not hide the one row that names nothing."""
    lab.world.seed(legacy=range(1, 41))
    for number in range(1, 31):
        lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(number), Body=b"other")
    driver = lab.drive(lab.spec())

    def lose() -> None:
        lab.world.s3.delete_object(Bucket=lab.world.destination, Key=MODERN + name(40))

    status = driver.before("audit", lose).finish()
    assert reason(status, "Failed") == "AuditFailed", status
    assert (status["samples"][0]["key"], status["samples"][0]["outcome"]) == (name(40), "dangling")
    assert name(40) in message(status, "Failed")


def test_rows_that_dangled_before_are_not_our_fault(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    lab.world.insert([MODERN + name(900), LEGACY + name(901)])
    status = lab.drive(lab.spec()).finish()
    assert condition(status, "Complete"), status
    assert status["audit"]["before"]["danglingRows"] == status["audit"]["after"]["danglingRows"] == 2


def test_a_legacy_object_that_could_not_be_deleted_is_named(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    driver = lab.drive(lab.spec())
    lab.forbid("s3:DeleteObject", f"{lab.world.source}/{LEGACY}{name(3)}")
    status = driver.finish()
    assert reason(status, "Failed") == "PartiallyFailed", status
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(3)}
    assert [(sample["key"], sample["outcome"]) for sample in status["samples"]] == [(name(3), "failed")]
    assert "the original stays" in status["samples"][0]["message"]


def test_a_plan_that_somebody_changed_is_refused(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 6))
    driver = lab.drive(lab.spec())

    def tamper() -> None:
        key = driver.status["plan"]["key"]
        lab.world.s3.put_object(Bucket=lab.world.destination, Key=key, Body=b"{}")

    status = driver.before("sweep", tamper).finish()
    assert reason(status, "Stalled") == "ContractMismatch", status
    assert "trigger" in message(status, "Stalled")
