"""The phase machine of S3Access, transition by transition."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bucketops_api.contract import RunResult
from bucketops_api.v1alpha1.common import Sample
from bucketops_operator.access_limits import Access, AccessAllowance
from bucketops_operator.desired import Desired
from bucketops_operator.executor import ObservedRun, Resource, SecretChange
from bucketops_operator.kinds.access import desired
from bucketops_operator.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(status_seconds=1)
ANSWERS = "200,404,200,204,204;200,403,403,403,403;403,403,403,403,403"
WELL = {"accessKey": "AK1", "secret": "Made", "other": "tried", "answers": ANSWERS}
MAKE = "Make user-a-s3"


def spec(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "provider": "MinIO",
        "admin": {"endpoint": "http://minio:9000", "credentials": {"secretRef": {"name": "minio-admin"}}},
        "user": "user-a",
        "grants": [{"bucket": "bucket-a", "access": "ReadWrite"}],
        "credentialsSecret": {"name": "user-a-s3"},
    }
    return whole | changes


class Simulation:
    """One S3Access and what exists of it; the executor remembers staged keys until `restart`."""

    def __init__(self, existing: dict[str, str] | None = None, settings: Settings = SETTINGS, **changes: Any) -> None:
        self.resource = Resource("S3Access", "default", "user-a", "uid-1", 1, spec(**changes))
        self.now = START
        self.runs: dict[str, ObservedRun] = {}
        self.status: dict[str, Any] = {}
        self.events: list[str] = []
        self.secrets: list[str] = []
        self.changes: list[SecretChange] = []
        self.uids: dict[str, str] = dict(existing or {})
        """Of the Secrets that there are."""
        self.settings = settings
        self.step()

    def step(self, seconds: float = 0) -> Simulation:
        self.now += timedelta(seconds=seconds)
        current = replace(self.resource, status=self.status)
        self.answer: Desired = desired(current, list(self.runs.values()), self.now, self.settings)
        self.runs = {name: run for name, run in self.runs.items() if name in self.answer.keep}
        for manifest in self.answer.objects:
            if manifest["kind"] == "Job":
                name, phase = manifest["metadata"]["name"], manifest["metadata"]["labels"]["bucketops.dev/phase"]
                staged = phase == "rotate"
                self.runs.setdefault(name, ObservedRun(name, phase, "Running", 1, active=1, pods=1, staged=staged))
        self.secrets += [f"{c.action} {c.name}" for c in self.answer.secrets]
        self.changes += self.answer.secrets
        self.status = self.answer.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.events += [event.reason for event in self.answer.events]
        changes = [(change.name, self._make(change)) for change in self.answer.secrets]
        if made := {name: uid for name, uid in changes if uid}:
            self.status |= {"secretUids": self.status["secretUids"] | made}
            return self.step()
        return self

    def _make(self, change: SecretChange) -> str:
        """As the API server does: a uid for what is made, and nothing is deleted under another one."""
        if change.action in {"Drop", "Promote"} and change.uid and self.uids.get(change.name) == change.uid:
            del self.uids[change.name]
        if change.action == "Drop" or change.name in self.uids:
            return ""
        self.uids[change.name] = f"uid-{len(self.changes)}-{change.name}"
        return self.uids[change.name]

    def end(self, facts: dict[str, str] | None = None, **result: Any) -> Simulation:
        """The run that works ends well."""
        name = self.ids[-1]
        told = RunResult(facts=WELL | (facts or {}), **result)
        self.runs[name] = replace(self.runs[name], state="Succeeded", active=0, pods=0, succeeded=1, result=told)
        return self.step()

    def fail(self, reason: str = "AccessDenied", message: str = "no") -> Simulation:
        name = self.ids[-1]
        failure = RunResult(reason=reason, message=message)
        self.runs[name] = replace(self.runs[name], state="Failed", active=0, pods=0, failed=1, failure=failure)
        return self.step()

    def change(self, **changes: Any) -> Simulation:
        new = {**self.resource.spec, **changes}
        self.resource = replace(self.resource, spec=new, generation=self.resource.generation + 1)
        return self.step()

    def delete(self) -> Simulation:
        self.resource = replace(self.resource, deleting=True, held=True)
        return self.step()

    @property
    def ids(self) -> list[str]:
        return [run["id"] for run in self.status["runs"]]

    @property
    def phases(self) -> list[str]:
        return [run["phase"] for run in self.status["runs"]]

    def condition(self, type_: str) -> str:
        return next((f"{c['status']} {c['reason']}" for c in self.status["conditions"] if c["type"] == type_), "")


def test_a_new_resource_makes_the_secret_and_then_grants() -> None:
    sim = Simulation()
    assert sim.ids == ["user-a-1-grant"]
    assert sim.secrets == [MAKE]
    assert sim.condition("Reconciling") == "True Granting"
    sim.step()
    assert sim.secrets == [MAKE], "once per run"


def test_ready_comes_with_the_proof() -> None:
    sim = Simulation().end()
    assert sim.condition("Ready") == "True Granted"
    assert sim.condition("AccessVerified") == "True Verified"
    assert sim.status["phase"] == "Ready"
    assert sim.status["accessKeyId"] == "AK1"
    assert [place["asExpected"] for place in sim.status["access"]] == [True, True, True]
    assert sim.answer.requeue == timedelta(minutes=10)


def test_a_run_whose_result_is_unknown_proves_nothing_and_is_done_again() -> None:
    sim = Simulation(interval="1m").end().step(60)
    name = sim.ids[-1]
    sim.runs[name] = replace(
        sim.runs[name], state="Succeeded", active=0, pods=0, succeeded=1, lost=1, unknown="shard 0: it left no result"
    )
    sim.step()
    assert (sim.status["runs"][-1]["result"], sim.events[-1]) == ("Failed", "ResultUnknown")
    assert sim.condition("Ready") == "True Granted"
    sim.step(30)
    assert sim.phases == ["grant", "check", "check"]


def test_a_proof_that_fails_is_not_ready() -> None:
    wrong = Sample(key="other/", outcome="notAsGranted", message="get should be refused: 200")
    sim = Simulation().end(
        {"answers": "200,404,200,204,204;200,403,403,403,403;403,200,403,403,403"},
        counts={"wrong": 1},
        samples=(wrong,),
    )
    assert sim.condition("Ready") == sim.condition("AccessVerified") == "False NotAsGranted"
    assert [place["asExpected"] for place in sim.status["access"]] == [True, True, False]
    sim.step(601).end()
    assert sim.condition("Ready") == "True Granted"


def test_checks_come_every_interval_and_leave_ready_alone() -> None:
    sim = Simulation(interval="1m").end()
    sim.step(59)
    assert sim.phases == ["grant"]
    sim.step(1)
    assert sim.phases == ["grant", "check"]
    assert sim.condition("Ready") == "True Granted"
    sim.end()
    assert sim.events == ["Granting", "Granted"]


def test_a_shorter_interval_holds_at_once() -> None:
    sim = Simulation(interval="1h").end().step(30).change(interval="20s")
    assert sim.phases == ["grant", "check"]


def test_a_check_that_had_to_repair_says_so() -> None:
    sim = Simulation(interval="1m").end().step(60)
    found = Sample(key="user-a", outcome="repaired", message="policy readwrite was attached")
    sim.end(counts={"changed": 1}, samples=(found,))
    assert sim.status["repairs"] == 1
    assert sim.events[-1] == "DriftRepaired"
    assert sim.answer.events[-1].message == "policy readwrite was attached"


def test_a_changed_grant_is_granted_at_once_and_its_changes_are_no_drift() -> None:
    sim = Simulation().end().change(grants=[{"bucket": "bucket-a", "access": "ReadOnly"}])
    assert sim.phases == ["grant", "grant"]
    sim.end({"answers": "200,404,403,403,403;200,403,403,403,403;403,403,403,403,403"}, counts={"changed": 1})
    assert sim.status.get("repairs", 0) == 0


@pytest.mark.parametrize("change", [{"interval": "1h"}, {"keyOverlap": "1h"}, {"deletionPolicy": "Delete"}])
def test_settings_begin_no_run(change: dict[str, str]) -> None:
    assert Simulation().end().change(**change).phases == ["grant"]


def test_rotation_stages_a_key_proves_it_and_puts_it_in_place() -> None:
    sim = Simulation().end().change(rotate="1")
    assert sim.phases == ["grant", "rotate"]
    assert sim.secrets[1:] == [MAKE, "Stage user-a-2-rotate-key"]
    assert sim.status.get("rotated", "") == ""
    sim.end({"accessKey": "AK2"})
    assert sim.secrets[3:] == ["Promote user-a-s3", MAKE]
    assert sim.phases[-1] == "check", "which lets the former key retire"
    assert (sim.status["rotated"], sim.status["accessKeyId"]) == ("1", "AK2")


def test_a_restart_that_forgot_the_staged_key_begins_the_rotation_anew() -> None:
    sim = Simulation().end().change(rotate="1")
    name = sim.ids[-1]
    sim.runs[name] = replace(sim.runs[name], staged=False)
    sim.end({"accessKey": "AK2"})
    assert sim.phases == ["grant", "rotate", "rotate"]
    assert sim.secrets[3:] == ["Drop user-a-2-rotate-key", MAKE, "Stage user-a-3-rotate-key"]
    assert sim.status["accessKeyId"] == "AK1"


def test_a_given_secret_is_not_replaced() -> None:
    sim = Simulation().end({"secret": "Given"}).change(rotate="1").end({"secret": "Given", "accessKey": "AK2"})
    assert "Promote user-a-s3" not in sim.secrets
    assert sim.status["rotated"] == "1"


def test_the_first_value_of_rotate_rotates_nothing() -> None:
    assert Simulation(rotate="at birth").end().phases == ["grant"]


def has_token(sim: Simulation) -> bool:
    job = next(manifest for manifest in sim.answer.objects if manifest["kind"] == "Job")
    return bool(job["spec"]["template"]["spec"]["automountServiceAccountToken"])


@pytest.mark.parametrize("worker", [{}, {"serviceAccountName": "default"}])
def test_an_account_that_nobody_has_allowed_brings_no_token(worker: dict[str, str]) -> None:
    assert not has_token(Simulation(provider="AWS", admin={}, worker=worker))


def test_aws_makes_its_own_keys_and_its_job_has_a_token() -> None:
    sim = Simulation(provider="AWS", admin={}, worker={"serviceAccountName": "user-a-access"})
    assert sim.secrets == ["MakeEmpty user-a-s3"]
    assert has_token(sim)
    sim.end().change(rotate="1").end({"accessKey": "AK2"})
    assert set(sim.secrets) == {"MakeEmpty user-a-s3"}
    assert sim.status["rotated"] == "1"


def test_a_check_looks_again_when_a_former_key_ends() -> None:
    until = START + timedelta(seconds=30)
    sim = Simulation().end({"retiring": f"AK0@{until.isoformat()}"})
    assert sim.status["retiringKeys"][0]["accessKeyId"] == "AK0"
    sim.step(31)
    assert sim.phases == ["grant", "check"]
    sim.end()
    assert sim.status["retiringKeys"] == []


def test_a_failure_is_told_and_tried_again_later_or_at_once_when_the_spec_changes() -> None:
    sim = Simulation().fail("UserExists", "exists")
    assert sim.condition("Stalled") == "True UserExists"
    sim.step(29)
    assert sim.phases == ["grant"]
    sim.step(1)
    assert sim.phases == ["grant", "grant"]
    assert sim.fail("UserExists", "exists").change(adopt=True).phases == ["grant", "grant", "grant"]


def test_a_trigger_checks_at_once() -> None:
    assert Simulation().end().change(trigger="now").phases == ["grant", "grant"]


def test_suspended_nothing_is_checked_and_a_check_comes_first_afterwards() -> None:
    sim = Simulation(interval="1m").end().change(suspend=True).step(3600)
    assert sim.phases == ["grant"]
    assert sim.condition("Suspended") == "True Suspended"
    sim.change(suspend=False)
    assert sim.phases == ["grant", "check"]
    assert sim.end().condition("Ready") == "True Granted"


def test_with_the_policy_delete_a_finalizer_holds_the_resource() -> None:
    assert Simulation().answer.held is False
    assert Simulation(deletionPolicy="Delete").answer.held is True


def test_deletion_revokes_first_and_lets_go_then() -> None:
    sim = Simulation(deletionPolicy="Delete").end().delete()
    assert sim.phases[-1] == "revoke"
    assert sim.answer.held is True
    sim.end({"removed": "yes"})
    assert sim.answer.held is False
    assert sim.secrets[-1] == "Drop user-a-s3"
    assert sim.answer.keep == frozenset()
    assert sim.events[-1] == "Revoked"


def test_deletion_leaves_a_given_secret() -> None:
    sim = (
        Simulation({"user-a-s3": "theirs"}, deletionPolicy="Delete")
        .end({"secret": "Given"})
        .delete()
        .end({"secret": "Given"})
    )
    assert "Drop user-a-s3" not in sim.secrets


VICTIM = "payments-db"


def touched(sim: Simulation) -> list[str]:
    """What becomes of the Secret of another system: nothing but that it is not made where it stands already."""
    return [change.action for change in sim.changes if change.name == VICTIM and change.action != "Make"]


def test_a_secret_that_is_named_while_a_rotation_works_is_not_replaced() -> None:
    """The run's own spec decides; an API server of today refuses such a change by itself."""
    sim = Simulation({VICTIM: "theirs"}).end().change(rotate="1")
    sim.change(credentialsSecret={"name": VICTIM}).end({"accessKey": "AK2"})
    assert "Promote user-a-s3" in sim.secrets
    assert (touched(sim), sim.uids[VICTIM]) == ([], "theirs")


def test_a_secret_that_is_named_while_a_revocation_works_is_not_deleted() -> None:
    sim = Simulation({VICTIM: "theirs"}, deletionPolicy="Delete").end().delete()
    sim.change(credentialsSecret={"name": VICTIM}).end({"removed": "yes"})
    assert sim.secrets[-1] == "Drop user-a-s3"
    assert (touched(sim), sim.uids[VICTIM]) == ([], "theirs")


def test_a_secret_that_was_not_made_for_this_resource_is_never_dropped_or_replaced_whatever_a_worker_says() -> None:
    name = {"name": VICTIM}
    sim = Simulation({VICTIM: "theirs"}, deletionPolicy="Delete", credentialsSecret=name).end().change(rotate="1")
    assert sim.phases == ["grant"], "a rotation that cannot be put in place does not begin"
    assert sim.condition("Degraded") == "True Refused"
    assert sim.condition("Ready") == "True Granted"
    assert sim.events.count("Refused") == 1
    sim.delete().end({"removed": "yes"})
    assert (sim.answer.held, sim.events[-1]) == (False, "Revoked")
    assert "Secret payments-db stays" in sim.answer.events[-1].message
    assert (touched(sim), sim.uids[VICTIM]) == ([], "theirs")


def test_deleting_such_a_secret_lets_the_rotation_begin() -> None:
    sim = Simulation({"user-a-s3": "of a former resource"}).end().change(rotate="1")
    assert sim.condition("Degraded") == "True Refused"
    del sim.uids["user-a-s3"]
    sim.step(601).end().end()
    assert sim.phases == ["grant", "check", "rotate", "check"]
    assert sim.condition("Degraded") == "False Healthy"


def test_every_secret_that_is_deleted_or_replaced_is_named_by_its_uid() -> None:
    sim = Simulation(deletionPolicy="Delete").end().change(rotate="1").end().end().change(rotate="2").fail()
    sim.delete().end({"removed": "yes"})
    gone = [change for change in sim.changes if change.action in {"Drop", "Promote"}]
    assert [f"{change.action} {change.name}" for change in gone] == [
        "Promote user-a-s3", "Drop user-a-4-rotate-key", "Drop user-a-s3",
    ]  # fmt: skip
    assert all(change.uid for change in gone)
    assert sim.uids.keys() <= {"user-a-2-rotate-key"}, "the executor takes what it has promoted away"


def test_a_secret_says_for_whom_and_for_which_server_it_is() -> None:
    sim = Simulation().end().change(rotate="1").end()
    assert {change.mark for change in sim.changes} == {"S3Access default/user-a at http://minio:9000"}


def test_the_workers_of_aws_write_the_secret_that_was_made_and_no_other() -> None:
    sim = Simulation(provider="AWS", admin={})
    run_file = next(m["data"]["run.json"] for m in sim.answer.objects if m["kind"] == "ConfigMap")
    assert json.loads(run_file)["secretUid"] == sim.uids["user-a-s3"]


LIMITS = Access(
    allow=[
        AccessAllowance(namespaces=["default"], buckets=["bucket-*", "own"], users=["user-*"]),
        AccessAllowance(namespaces=["team-*"], buckets=["*"], users=["*"]),
    ],
    permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grants": [{"bucket": "payments", "access": "ReadOnly"}]}, "bucket payments is not allowed"),
        ({"grants": [{"bucket": b, "access": "ReadOnly"} for b in ("own", "theirs")]}, "bucket theirs is not allowed"),
        ({"user": "root-of-all"}, "user root-of-all is not allowed in namespace default"),
    ],
)
def test_what_the_clusters_owner_does_not_allow_starts_no_job(changes: dict[str, Any], words: str) -> None:
    sim = Simulation(settings=replace(SETTINGS, access=LIMITS), **changes)
    assert (sim.condition("Stalled"), sim.ids, sim.secrets, sim.answer.requeue) == ("True Refused", [], [], None)
    assert words in next(c["message"] for c in sim.status["conditions"] if c["type"] == "Stalled")
    assert "access.allow" in next(c["message"] for c in sim.status["conditions"] if c["type"] == "Stalled")
    sim.step()
    assert sim.events == ["Refused"]
    sim.settings = SETTINGS
    assert sim.step().phases == ["grant"]


def test_what_is_no_longer_allowed_is_not_checked_and_can_be_deleted() -> None:
    sim = Simulation(deletionPolicy="Delete").end()
    sim.settings = replace(SETTINGS, access=LIMITS)
    sim.step(601)
    assert sim.phases == ["grant", "check"]
    sim.end().change(grants=[{"bucket": "payments", "access": "ReadOnly"}])
    assert sim.phases == ["grant", "check"]
    assert sim.delete().phases[-1] == "revoke"


def test_the_boundary_of_the_clusters_owner_bounds_every_user_of_aws() -> None:
    mine = "arn:aws:iam::123456789012:policy/mine"
    sim = Simulation(settings=replace(SETTINGS, access=LIMITS), provider="AWS", admin={}, permissionsBoundary=mine)
    run_file = next(m["data"]["run.json"] for m in sim.answer.objects if m["kind"] == "ConfigMap")
    assert json.loads(run_file)["spec"]["permissionsBoundary"] == LIMITS.permissions_boundary


def test_a_policy_that_is_too_large_is_said_before_any_job() -> None:
    grants = [{"bucket": f"bucket-{n}", "prefix": "p" * 500 + f"{n}/", "access": "ReadWrite"} for n in range(16)]
    sim = Simulation(grants=grants)
    assert (sim.condition("Stalled"), sim.ids) == ("True PolicyTooLong", [])


@pytest.mark.parametrize(
    "facts",
    [{"answers": ""}, {"answers": "200"}, {"answers": ANSWERS + ";1"}, {"retiring": "x@notadate"},
     {"accessKey": ""}, {"answers": "x,y,z,a,b"}],
)  # fmt: skip
def test_a_result_that_cannot_be_read_is_a_failed_run(facts: dict[str, str]) -> None:
    sim = Simulation().end(facts)
    assert sim.status["runs"][-1]["result"] == "Failed"
    assert sim.events[-1] == "ResultUnknown"
    assert sim.condition("Ready") == "False InProgress"
    assert sim.step(30).end().condition("Ready") == "True Granted"


def test_another_tenants_bucket_is_not_named() -> None:
    assert Simulation().end().status["access"][-1]["bucket"] == ""
    assert Simulation(probeBucket="own-empty").end().status["access"][-1]["bucket"] == "own-empty"


def test_deletion_stops_what_is_under_way() -> None:
    sim = Simulation(deletionPolicy="Delete").delete()
    assert list(sim.runs) == ["user-a-2-revoke"]


def test_a_revocation_that_fails_holds_the_resource_until_it_is_to_be_retained() -> None:
    sim = Simulation(deletionPolicy="Delete").end().delete().fail("EndpointUnreachable", "nobody answers")
    assert sim.answer.held is True
    assert "set deletionPolicy: Retain" in next(c["message"] for c in sim.status["conditions"] if c["type"] == "Ready")
    sim.change(deletionPolicy="Retain")
    assert sim.answer.held is False
    assert sim.events[-1] == "Retained"


def test_jobs_of_old_checks_do_not_pile_up() -> None:
    sim = Simulation(interval="1m").end()
    for _ in range(12):
        sim.step(60).end()
    assert len(sim.answer.keep) == 3
    assert len(sim.status["runs"]) == 10


def test_an_invalid_spec_starts_nothing_and_stops_nothing() -> None:
    sim = Simulation().end().change(user="?")
    assert sim.condition("Stalled") == "True InvalidSpec"
    assert sim.phases == ["grant"]
