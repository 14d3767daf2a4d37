"""What the operator hands to the API server for a run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec, resolved
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_operator.executor import Resource
from bucketops_operator.objects import job_changes, paused, run_objects, schedule_objects
from bucketops_operator.pods import config_map_names, secret_names
from bucketops_operator.settings import Settings

SPEC: dict[str, Any] = {
    "source": {"bucket": "legacy", "credentials": {"secretRef": {"name": "one.s3"}}},
    "destination": {"bucket": "new", "credentials": {"secretRef": {"name": "two"}}},
    "records": {"bucket": "new", "caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}, "secretRef": None}},
    "database": {"credentials": {"secretRef": {"name": "two"}}, "references": [{"table": "t", "column": "path"}]},
    "worker": {"template": {"env": [{"name": "A", "valueFrom": {"secretRef": {"name": "not-ours"}}}]}},
}
OWNER = Resource("S3Migration", "shop", "avatars", "uid-1", 3, SPEC)
RUN = RunSpec(
    kind="S3Migration", phase="copy", namespace="shop", name="avatars", run="avatars-2-copy", shards=8, spec=SPEC
)


def built(
    *, owner: Resource = OWNER, run: RunSpec = RUN, parallelism: int = 4, suspend: bool = False
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    objects = run_objects(
        owner,
        run,
        parallelism=parallelism,
        suspend=suspend,
        limits=Limits(requests_per_second=2.5),
        settings=Settings(image="example/bucketops:1"),
    )
    run_map, limits_map, job = json.loads(json.dumps(objects))
    return run_map, limits_map, job


def job_of(**changes: Any) -> dict[str, Any]:
    return built(**changes)[2]


def pod_of(**template: Any) -> dict[str, Any]:
    spec = SPEC | {"worker": {"template": template}}
    pod: dict[str, Any] = job_of(run=RUN.model_copy(update={"spec": spec}))["spec"]["template"]
    return pod


def test_the_run_spec_comes_back_from_its_immutable_config_map() -> None:
    run_map, _, _ = built()
    assert run_map["immutable"] is True
    assert RunSpec.model_validate_json(run_map["data"]["run.json"]) == RUN


def test_the_same_run_gives_the_same_bytes() -> None:
    assert built() == built()


def test_limits_stand_in_a_config_map_of_their_own_that_may_change() -> None:
    _, limits_map, _ = built()
    assert "immutable" not in limits_map
    assert Limits.model_validate_json(limits_map["data"]["limits.json"]) == Limits(requests_per_second=2.5)


def test_everything_carries_the_owner_and_the_labels_that_the_operator_lists_by() -> None:
    run_map, limits_map, job = built()
    for found in (run_map, limits_map, job, job["spec"]["template"]):
        assert found["metadata"]["labels"][names.LABEL_OWNER] == "uid-1"
        assert found["metadata"]["labels"][names.LABEL_MANAGED_BY] == names.MANAGER
        assert found["metadata"]["labels"][names.LABEL_RUN] == "avatars-2-copy"
    for found in (run_map, limits_map, job):
        [reference] = found["metadata"]["ownerReferences"]
        assert (reference["uid"], reference["controller"]) == ("uid-1", True)


def test_labels_of_long_names_stay_within_63_characters() -> None:
    labels = job_of(owner=replace(OWNER, name="a" * 253))["metadata"]["labels"]
    assert all(len(value) <= 63 for value in labels.values())


def test_a_shard_that_fails_leaves_the_others_running() -> None:
    spec = job_of()["spec"]
    assert (spec["completionMode"], spec["completions"], spec["maxFailedIndexes"]) == ("Indexed", 8, 8)
    assert (spec["backoffLimitPerIndex"], spec["podReplacementPolicy"]) == (6, "Failed")


def test_a_disruption_costs_no_attempt_and_exit_codes_say_what_else_happens() -> None:
    rules = job_of()["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob", "FailIndex"]
    assert [rule["onExitCodes"]["values"] for rule in rules[1:]] == [[64], [65]]


def test_there_are_never_more_pods_at_once_than_shards() -> None:
    assert job_of(parallelism=99)["spec"]["parallelism"] == 8


def test_a_pod_meets_the_restricted_profile_and_has_no_api_token() -> None:
    spec = pod_of()["spec"]
    [worker] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert worker["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert worker["securityContext"]["allowPrivilegeEscalation"] is False


def test_every_secret_that_the_spec_names_is_mounted_once_and_optional() -> None:
    spec = pod_of()["spec"]
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert [secret["secretName"] for secret in secrets] == ["one.s3", "two"]
    assert all(secret["optional"] for secret in secrets)
    paths = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
    assert {"/var/run/bucketops/secrets/one.s3", "/var/run/bucketops/configmaps/ca"} <= set(paths)


def test_names_in_free_form_pod_settings_are_not_mounted() -> None:
    assert secret_names(SPEC) == ["one.s3", "two"]
    assert config_map_names(SPEC) == ["ca"]


def test_limits_are_mounted_as_a_folder_so_that_changes_arrive() -> None:
    mounts = pod_of()["spec"]["containers"][0]["volumeMounts"]
    [limits] = [mount for mount in mounts if mount["name"] == "limits"]
    assert limits["mountPath"] == "/var/run/bucketops/limits"
    assert "subPath" not in limits


def test_the_template_replaces_resources_and_adds_to_the_rest() -> None:
    pod = pod_of(
        labels={"team": "shop", names.LABEL_OWNER: "forged"},
        annotations={"a": "b"},
        resources={"limits": {"memory": "1Gi"}},
        nodeSelector={"disk": "ssd"},
        securityContext={"readOnlyRootFilesystem": False},
        env=[{"name": "HTTPS_PROXY", "value": "http://proxy"}],
    )
    [worker] = pod["spec"]["containers"]
    assert pod["metadata"]["labels"]["team"] == "shop"
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert worker["resources"] == {"limits": {"memory": "1Gi"}}
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert worker["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert worker["env"][0]["name"] == "HTTPS_PROXY"


def test_the_template_cannot_take_a_pod_away_from_its_owner() -> None:
    assert pod_of(labels={names.LABEL_OWNER: "forged"})["metadata"]["labels"][names.LABEL_OWNER] == "uid-1"


@pytest.mark.parametrize(
    ("suspend", "parallelism", "changes"),
    [
        (False, 4, {}),
        (True, 4, {"suspend": True}),
        (False, 2, {"parallelism": 2}),
        (True, 2, {"suspend": True, "parallelism": 2}),
    ],
)
def test_of_a_job_only_suspend_and_parallelism_are_changed(
    *, suspend: bool, parallelism: int, changes: dict[str, Any]
) -> None:
    existing = job_of()
    existing["spec"]["backoffLimitPerIndex"] = 99
    assert job_changes(existing, job_of(suspend=suspend, parallelism=parallelism)) == changes


def test_kueue_alone_starts_a_job_of_its_queues_and_zero_pods_suspend_it() -> None:
    queued = replace(OWNER, labels={names.LABEL_QUEUE: "night", "other": "label"})
    job = job_of(owner=queued)
    assert (job["metadata"]["labels"][names.LABEL_QUEUE], job["spec"]["suspend"]) == ("night", True)
    assert "other" not in job["metadata"]["labels"]
    admitted = job | {"spec": job["spec"] | {"suspend": False}}
    assert job_changes(admitted, job) == {}
    assert job_changes(admitted, job_of(owner=queued, suspend=True)) == {"parallelism": 0}


def test_a_schedule_is_a_cron_job_that_needs_no_operator() -> None:
    """What its Jobs mount has the generation in its name, so a run under way keeps the rules that it began with."""
    spec = {"mode": "Apply", "bucket": {"bucket": "deployments", "credentials": {"secretRef": {"name": "keys"}}}}
    scheduled = RetentionSpec.model_validate(spec | {"schedule": "0 3 * * *", "timeZone": "Europe/Paris"})
    resource = Resource("S3Retention", "team", "web", "uid-9", 4, spec)
    run = RunSpec(kind="S3Retention", phase="retain", namespace="team", name="web", run="web-scheduled-g4",
                  jitter_seconds=60, spec=resolved(scheduled))  # fmt: skip
    run_map, limits_map, cron_job = schedule_objects(
        resource, run, scheduled, suspend=False, limits=Limits(), settings=Settings()
    )
    assert (run_map["immutable"], run_map["metadata"]["name"]) == (True, "web-scheduled-g4")
    assert json.loads(run_map["data"]["run.json"])["jitterSeconds"] == 60
    assert limits_map["metadata"]["name"] == "web-scheduled-g4-limits"
    assert (cron_job["metadata"]["name"], cron_job["spec"]["concurrencyPolicy"]) == ("web-scheduled", "Forbid")
    job = cron_job["spec"]["jobTemplate"]
    assert job["metadata"]["labels"][names.LABEL_OWNER] == "uid-9"
    assert (job["spec"]["completions"], job["spec"]["suspend"]) == (1, False)
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert {v["configMap"]["name"] for v in volumes if "configMap" in v} == {
        "web-scheduled-g4",
        "web-scheduled-g4-limits",
    }
    assert {v["secret"]["secretName"] for v in volumes if "secret" in v} == {"keys"}


def test_a_scheduled_job_of_a_queue_is_started_by_kueue_alone() -> None:
    scheduled = RetentionSpec.model_validate({"bucket": {"bucket": "deployments"}, "schedule": "@daily"})
    resource = Resource("S3Retention", "team", "web", "uid-9", 1, {}, labels={names.LABEL_QUEUE: "night"})
    run = RunSpec(kind="S3Retention", phase="retain", namespace="team", name="web", run="web-scheduled-g1", spec={})
    *_, cron_job = schedule_objects(resource, run, scheduled, suspend=False, limits=Limits(), settings=Settings())
    job = cron_job["spec"]["jobTemplate"]
    assert (job["metadata"]["labels"][names.LABEL_QUEUE], job["spec"]["suspend"]) == ("night", True)


def test_a_pause_says_nothing_of_parallelism() -> None:
    job = {"metadata": {"labels": {}}, "spec": {"suspend": False, "parallelism": 1}}
    assert job_changes(job, paused("web-scheduled-1", suspend=True)) == {"suspend": True}
    assert job_changes(job, paused("web-scheduled-1", suspend=False)) == {}
