"""What the operator hands to the API server for a run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bucketops_api import names
from bucketops_api.contract import Limits, RunSpec, resolved
from bucketops_api.v1alpha1.pod_template import WorkerTemplate
from bucketops_api.v1alpha1.resources import Resources
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_operator.executor import Resource
from bucketops_operator.objects import job_changes, paused, run_objects, schedule_objects
from bucketops_operator.pod_resources import resources
from bucketops_operator.pod_template import merged
from bucketops_operator.pods import config_map_names, secret_names
from bucketops_operator.settings import Settings

SPEC: dict[str, Any] = {
    "source": {"bucket": "legacy", "credentials": {"secretRef": {"name": "one.s3"}}},
    "destination": {"bucket": "new", "credentials": {"secretRef": {"name": "two"}}},
    "records": {"bucket": "new", "caBundle": {"configMapRef": {"name": "ca", "key": "ca.crt"}, "secretRef": None}},
    "database": {"credentials": {"secretRef": {"name": "two"}}, "references": [{"table": "t", "column": "path"}]},
    "worker": {"template": {"imagePullSecrets": [{"name": "not-ours"}]}},
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


def test_names_in_the_settings_of_the_pod_are_not_mounted() -> None:
    assert secret_names(SPEC) == ["one.s3", "two"]
    assert config_map_names(SPEC) == ["ca"]


def test_limits_are_mounted_as_a_folder_so_that_changes_arrive() -> None:
    mounts = pod_of()["spec"]["containers"][0]["volumeMounts"]
    [limits] = [mount for mount in mounts if mount["name"] == "limits"]
    assert limits["mountPath"] == "/var/run/bucketops/limits"
    assert "subPath" not in limits


def test_the_template_says_where_the_pod_runs_and_as_whom() -> None:
    pod = pod_of(
        labels={"team": "shop"},
        annotations={"a": "b"},
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "dedicated", "operator": "Exists"}],
        priorityClassName="batch",
        securityContext={"runAsUser": 1000, "supplementalGroups": [2000], "seLinuxOptions": {"level": "s0:c1,c2"}},
        env=[{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    )
    [worker] = pod["spec"]["containers"]
    assert pod["metadata"]["labels"]["team"] == "shop"
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert (pod["spec"]["nodeSelector"], pod["spec"]["priorityClassName"]) == ({"disk": "ssd"}, "batch")
    assert pod["spec"]["tolerations"] == [{"key": "dedicated", "operator": "Exists", "value": ""}]
    assert "imagePullSecrets" not in pod["spec"], "what is not given is left out"
    assert pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "supplementalGroups": [2000],
        "seLinuxOptions": {"type": "container_t", "level": "s0:c1,c2"},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert worker["env"][0] == {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}


def test_the_container_is_restricted_whatever_the_template_says() -> None:
    [worker] = pod_of(securityContext={"runAsUser": 1000, "privileged": False, "capabilities": {"drop": ["ALL"]}})[
        "spec"
    ]["containers"]
    assert worker["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_python_is_isolated_from_variables_and_folders() -> None:
    [worker] = pod_of()["spec"]["containers"]
    assert worker["command"] == ["python", "-I", "-B", "-u", "-m", "bucketops_jobs"]
    assert {variable["name"] for variable in worker["env"]} == {names.ENV_RUN_DIGEST}


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        ({}, {}, {}),
        ({"limits": {"memory": "1Gi"}}, {}, {"memory": "1Gi"}),
        ({"limits": {"memory": "64Mi"}}, {"memory": "64Mi"}, {"memory": "64Mi"}),
        ({"requests": {"memory": "2Gi"}}, {"memory": "2Gi"}, {"memory": "2Gi"}),
        ({"requests": {"cpu": 2}}, {"cpu": 2}, {}),
        ({"limits": {"cpu": "50m"}}, {"cpu": "50m"}, {"cpu": "50m"}),
        ({"limits": {"ephemeral-storage": "1Gi"}}, {}, {"ephemeral-storage": "1Gi"}),
    ],
)
def test_what_is_given_of_the_resources_replaces_a_default_and_takes_none_away(
    given: dict[str, Any], requests: dict[str, Any], limits: dict[str, Any]
) -> None:
    [worker] = pod_of(resources=given)["spec"]["containers"]
    assert worker["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"} | requests
    assert worker["resources"]["limits"] == {"memory": "512Mi", "ephemeral-storage": "8Gi"} | limits


OWNERS = WorkerTemplate.model_validate(
    {
        "labels": {"team": "platform", "environment": "live"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "pull"}],
        "env": [{"name": "HTTPS_PROXY", "value": "http://one:1"}, {"name": "TZ", "value": "Europe/Paris"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
        "priorityClassName": "batch",
    }
)
"""What the chart's owner says for all workers."""


def test_what_the_owner_says_for_all_workers_holds_where_a_resource_says_nothing() -> None:
    pod = merged(OWNERS, WorkerTemplate())
    assert pod.model_dump() == OWNERS.model_copy(update={"resources": Resources()}).model_dump()
    run, settings = RUN.model_copy(update={"spec": SPEC | {"worker": {}}}), Settings(worker_template=OWNERS)
    *_, job = run_objects(OWNER, run, parallelism=1, suspend=False, limits=Limits(), settings=settings)
    assert job["spec"]["template"]["metadata"]["labels"]["environment"] == "live"
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1Gi"


def test_a_resource_adds_to_what_the_owner_says_and_goes_before_it() -> None:
    given = {
        "labels": {"team": "shop"},
        "tolerations": [{"key": "spot"}],
        "env": [{"name": "HTTPS_PROXY", "value": "http://two:2"}],
        "securityContext": {"runAsUser": 2000},
    }
    pod = merged(OWNERS, WorkerTemplate.model_validate(given))
    assert pod.labels == {"team": "shop", "environment": "live"}
    assert [toleration.key for toleration in pod.tolerations] == ["dedicated", "spot"]
    assert {variable.name: variable.value for variable in pod.env} == {
        "HTTPS_PROXY": "http://two:2",
        "TZ": "Europe/Paris",
    }
    assert (pod.security_context.run_as_user, pod.security_context.fs_group) == (2000, 1000)
    assert pod.priority_class_name == "batch"


def test_resources_are_laid_over_the_owners_amount_by_amount() -> None:
    given = Resources.model_validate({"requests": {"cpu": "2"}})
    amounts = resources("8Gi", OWNERS.resources, given)
    assert amounts["limits"] == {"memory": "1Gi", "ephemeral-storage": "8Gi"}
    assert amounts["requests"]["cpu"] == "2"


def test_what_a_worker_writes_below_tmp_is_limited() -> None:
    """An emptyDir without a limit fills the node's disk."""
    for given, size in (({}, "8Gi"), ({"limits": {"ephemeral-storage": "1Gi"}}, "1Gi")):
        [scratch] = [v for v in pod_of(resources=given)["spec"]["volumes"] if v["name"] == "scratch"]
        assert scratch["emptyDir"] == {"sizeLimit": size}


@pytest.mark.parametrize(
    "key",
    [
        names.LABEL_OWNER,
        "app.kubernetes.io/managed-by",
        "batch.kubernetes.io/job-name",
        "job-name",
        "x.bucketops.dev/a",
        "Bucketops.dev/x",
        "kubernetes.io/x",
        "K8S.io/x",
        "X-K8S.io/x",
        "kueue.x-k8s.io/queue-name",
        "Batch.Kubernetes.IO/job-name",
        "Job-Name",
    ],
)
def test_the_template_cannot_take_a_pod_away_from_its_owner(key: str) -> None:
    for field in ("labels", "annotations"):
        with pytest.raises(ValidationError, match="cannot be set here"):
            pod_of(**{field: {key: "forged"}})


def test_a_worker_may_ask_not_to_be_evicted_by_the_autoscaler() -> None:
    kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    assert pod_of(annotations=kept)["metadata"]["annotations"] == kept


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
