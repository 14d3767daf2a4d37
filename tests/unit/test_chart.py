"""The chart, rendered by Helm for several values."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_api import counts, names
from bucketops_api.v1alpha1.common import NameRef
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_jobs import exposition
from bucketops_jobs.gate import Gate
from bucketops_jobs.metrics import Metrics as WorkerMetrics
from bucketops_jobs.tally import Tally
from bucketops_operator import generate
from bucketops_operator.allowed import Allowed
from bucketops_operator.errors import StalledError, WaitingError
from bucketops_operator.generators import chart, helm, install
from bucketops_operator.metrics import Metrics
from bucketops_operator.settings import from_environment

pytestmark = pytest.mark.slow

ROOT = generate.find_root(Path(__file__).resolve())
Manifest = dict[str, Any]

ALL_OPTIONS = """\
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
imagePullSecrets: [{name: pull}]
namespaces: [team-a, team-b]
logFormat: text
nodeSelector: {disk: fast}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: system-cluster-critical
podLabels: {team: storage}
podAnnotations: {note: text}
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
extraObjects:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra"}}
metrics:
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  podMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true}
  dashboards: {enabled: true, annotations: {folder: Storage}}
networkPolicy: {enabled: true, metricsFrom: [{podSelector: {}}]}
rbac: {aggregate: true}
allowed:
  serviceAccounts: [exporter, team-a/*]
  priorityClasses: [batch]
  tolerations: [dedicated]
  endpoints: ["https://*", "http://[fd00::1]:9000"]
  labels: [team]
  annotations: []
worker:
  template:
    imagePullSecrets: [{name: pull}]
    env: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
    resources: {limits: {memory: 1Gi}}
"""


def render(*options: str) -> list[Manifest]:
    text = helm.template(ROOT, {}, install.NAMESPACE, *options)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


@pytest.fixture(scope="module")
def default() -> list[Manifest]:
    return render()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    values = tmp_path_factory.mktemp("values") / "all.yaml"
    values.write_text(ALL_OPTIONS)
    return render("--values", str(values))


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def environment(manifests: list[Manifest]) -> tuple[Manifest, dict[str, str]]:
    (deployment,) = of_kind(manifests, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container, {entry["name"]: entry["value"] for entry in container["env"]}


def test_install_manifest_is_up_to_date() -> None:
    """`make generate` mends it."""
    assert generate.differing(ROOT, install.files(ROOT, generate.files())) == []


def test_operator_and_workers_have_one_image(default: list[Manifest], everything: list[Manifest]) -> None:
    for manifests in (default, everything):
        container, env = environment(manifests)
        assert from_environment(env).image == container["image"]


def test_environment_says_what_the_values_say(everything: list[Manifest]) -> None:
    settings = from_environment(environment(everything)[1])
    assert settings.namespaces == ("team-a", "team-b")
    assert settings.log_format == "text"
    assert settings.allowed == Allowed(
        service_accounts=("exporter", "team-a/*"),
        priority_classes=("batch",),
        tolerations=("dedicated",),
        endpoints=("https://*", "http://[fd00::1]:9000"),
        labels=("team",),
        annotations=(),
    )
    assert settings.worker_template.image_pull_secrets == [NameRef(name="pull")]
    assert settings.worker_template.resources.limits.memory == "1Gi"


def test_default_environment_is_that_of_the_settings(default: list[Manifest]) -> None:
    assert from_environment(environment(default)[1]) == from_environment({})


def test_pod_meets_the_restricted_profile(default: list[Manifest]) -> None:
    (deployment,) = of_kind(default, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_there_is_never_a_second_operator(default: list[Manifest]) -> None:
    (deployment,) = of_kind(default, "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_namespaces_have_roles_and_the_cluster_none(everything: list[Manifest]) -> None:
    assert [role["metadata"]["namespace"] for role in of_kind(everything, "Role")] == ["team-a", "team-b"]
    assert [role["metadata"]["name"] for role in of_kind(everything, "ClusterRole")] == [
        "bucketops-view",
        "bucketops-edit",
    ]
    assert of_kind(everything, "ClusterRoleBinding") == []


def test_no_role_reads_or_changes_a_secret(default: list[Manifest], everything: list[Manifest]) -> None:
    for manifest in (*of_kind(default, "ClusterRole"), *of_kind(everything, "Role")):
        on_secrets = [rule["verbs"] for rule in manifest["rules"] if "secrets" in rule["resources"]]
        assert on_secrets in ([], [["create", "delete"]])


@pytest.mark.parametrize(("keep", "policy"), [("true", "keep"), ("false", None)])
def test_crds_are_kept_unless_told_otherwise(keep: str, policy: str | None) -> None:
    found = of_kind(render("--set", f"crds.keep={keep}"), "CustomResourceDefinition")
    assert {manifest["metadata"]["annotations"].get("helm.sh/resource-policy") for manifest in found} == {policy}
    assert all(manifest["metadata"]["annotations"][chart.SCHEMA_HASH] for manifest in found)


def test_what_others_bring_is_left_out() -> None:
    without = "crds.install=false,rbac.create=false,serviceAccount.create=false,admissionPolicy.enabled=false"
    without += ",networkPolicy.enabled=false"
    manifests = render("--set", without)
    assert {manifest["kind"] for manifest in manifests} == {"Deployment", "Service"}


def test_every_option_makes_its_object(everything: list[Manifest]) -> None:
    kinds = {manifest["kind"] for manifest in everything}
    assert kinds >= {"ServiceMonitor", "PodMonitor", "PrometheusRule", "NetworkPolicy", "ConfigMap"}
    assert "bucketops-extra" in {manifest["metadata"]["name"] for manifest in everything}


def test_dashboards_are_json(everything: list[Manifest]) -> None:
    (folder,) = (m for m in of_kind(everything, "ConfigMap") if m["metadata"]["name"] == "bucketops-dashboards")
    assert set(folder["data"]) == {f"bucketops-{name}.json" for name in ("migration", "pipeline", "workers")}
    assert all(json.loads(dashboard)["panels"] for dashboard in folder["data"].values())


def test_alerts_and_dashboards_read_metrics_that_operator_or_workers_have(everything: list[Manifest]) -> None:
    (rule,) = of_kind(everything, "PrometheusRule")
    folders = [m for m in of_kind(everything, "ConfigMap") if m["metadata"]["name"] == "bucketops-dashboards"]
    used = set(re.findall(r"\b(?:bucketops_(?!dev_)|process_)\w+", json.dumps([rule, folders])))
    tally = Tally()
    tally.add(counts.EVENTS)
    tally.requests = WorkerMetrics(Gate(1))
    workers = exposition.registry_of(tally).collect()
    served = {family.name for family in (*Metrics(lambda: 0.0, lambda: 0.0).registry.collect(), *workers)}
    assert used
    assert {re.sub("_(total|count|bucket)$", "", name) for name in used} <= served


def test_the_dashboard_of_pipelines_names_counts_that_their_pods_have() -> None:
    text = (ROOT / "charts/bucketops/dashboards/pipeline.json").read_text()
    named = set(re.findall(r'count=~\\"([^"]+)\\"', text))
    assert named == {f"{counts.EVENTS}|{counts.DROPPED}", f"{counts.REFUSED}/.+"}


def test_the_pod_monitor_finds_the_workers_by_their_labels(default: list[Manifest], everything: list[Manifest]) -> None:
    (monitor,) = of_kind(everything, "PodMonitor")
    assert of_kind(default, "PodMonitor") == []
    assert monitor["spec"]["selector"]["matchLabels"] == {names.LABEL_MANAGED_BY: names.MANAGER}
    assert monitor["spec"]["selector"]["matchExpressions"] == [{"key": names.LABEL_KIND, "operator": "Exists"}]
    assert monitor["spec"]["podTargetLabels"] == [names.LABEL_KIND, names.LABEL_NAME, names.LABEL_PHASE]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_nobody_reaches_the_operator_but_for_its_metrics(default: list[Manifest]) -> None:
    (policy,) = of_kind(default, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "metrics"}]}]


def test_in_each_watched_namespace_the_operator_alone_reaches_the_metrics_of_workers(
    everything: list[Manifest],
) -> None:
    policies = {policy["metadata"]["namespace"]: policy["spec"] for policy in of_kind(everything, "NetworkPolicy")}
    assert policies.keys() == {"bucketops-system", "team-a", "team-b"}
    for namespace in ("team-a", "team-b"):
        metrics, webhook = policies[namespace]["ingress"]
        (peer,) = metrics["from"]
        assert metrics["ports"] == [{"port": names.METRICS_PORT}]
        assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "bucketops-system"}
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "bucketops"
        assert webhook == {"ports": [{"port": names.WEBHOOK_PORT}]}
        assert policies[namespace]["podSelector"]["matchLabels"] == {names.LABEL_MANAGED_BY: names.MANAGER}


def test_the_operator_reaches_dns_the_api_server_and_its_workers_alone_where_that_is_wanted() -> None:
    (policy,) = of_kind(render("--set", "networkPolicy.restrictEgress=true"), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 443, 6443, names.METRICS_PORT]


def test_alerts_know_the_errors_that_are_none(everything: list[Manifest]) -> None:
    (rule,) = of_kind(everything, "PrometheusRule")
    assert f'error!~"{WaitingError.__name__}|{StalledError.__name__}"' in json.dumps(rule).replace('\\"', '"')


def test_everything_of_a_namespace_says_which(everything: list[Manifest]) -> None:
    """kubectl apply -f install.yaml knows no release's namespace."""
    anywhere = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    anywhere |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    ours = [m for m in everything if m["kind"] not in anywhere and m["metadata"]["name"] != "bucketops-extra"]
    assert all(manifest["metadata"].get("namespace") for manifest in ours)


@pytest.mark.parametrize(
    "wrong",
    [
        "image.tag=latest",
        "replicas=2",
        "logFormat=xml",
        "namespaces={No_Name}",
        "namespaces={kube-system}",
        "allowed.serviceAccounts={a'b}",
        "allowed.all=true",
        "disabledKinds={S3Mirgation}",
        "worker.template.resources.limit.memory=1Gi",
        "worker.template.securityContext.privileged=true",
    ],
)
def test_helm_refuses_wrong_values(wrong: str) -> None:
    with pytest.raises(ValueError, match="values don't meet the specifications"):
        render("--set", wrong)


def test_helm_refuses_to_watch_the_operators_own_namespace() -> None:
    with pytest.raises(ValueError, match="bucketops-system is the operator's own and never watched"):
        render("--set", "namespaces={team-a,bucketops-system}")


def test_nobody_gets_rights_on_the_resources_by_installing_the_chart(default: list[Manifest]) -> None:
    """Whoever may edit a namespace could have its buckets emptied."""
    labels = [label for role in of_kind(default, "ClusterRole") for label in role["metadata"]["labels"]]
    assert not [label for label in labels if "aggregate" in label]


def test_each_kind_has_an_admission_policy_that_denies(default: list[Manifest], everything: list[Manifest]) -> None:
    names_ = {"bucketops-operator", *(f"bucketops-{kind.plural}" for kind in KINDS.values())}
    for manifests in (default, everything):
        policies = of_kind(manifests, "ValidatingAdmissionPolicy")
        bindings = of_kind(manifests, "ValidatingAdmissionPolicyBinding")
        assert {policy["metadata"]["name"] for policy in policies} == names_
        assert {policy["spec"]["failurePolicy"] for policy in policies} == {"Fail"}
        assert {binding["spec"]["policyName"] for binding in bindings} == names_
        assert all(binding["spec"]["validationActions"] == ["Deny"] for binding in bindings)


def test_a_kind_that_is_switched_off_has_no_rights_and_is_refused() -> None:
    manifests = render("--set", "disabledKinds={S3Access}")
    (role,) = of_kind(manifests, "ClusterRole")
    granted = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert not {"secrets", "s3accesses", "s3accesses/status"} & granted
    assert {"s3migrations", "exifpipelines/status", "statefulsets", "services"} <= granted
    assert [kind.name for kind in from_environment(environment(manifests)[1]).kinds()] == [
        name for name in KINDS if name != "S3Access"
    ]
    policies = {p["metadata"]["name"]: p["spec"] for p in of_kind(manifests, "ValidatingAdmissionPolicy")}
    assert policies["bucketops-s3accesses"]["validations"][0]["expression"] == "false"
    assert policies["bucketops-s3migrations"]["validations"][0]["expression"] != "false"


def test_a_policy_of_some_namespaces_says_nothing_in_others(everything: list[Manifest]) -> None:
    """That of the operator's token holds everywhere."""
    bindings = of_kind(everything, "ValidatingAdmissionPolicyBinding")
    assert len(bindings) == len(KINDS) + 1
    for binding in (b for b in bindings if b["metadata"]["name"] != "bucketops-operator"):
        (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert (expression["operator"], expression["values"]) == ("In", ["team-a", "team-b"])


def test_words_about_secrets_in_the_values_are_true(default: list[Manifest]) -> None:
    (role,) = of_kind(default, "ClusterRole")
    verbs = {verb for rule in role["rules"] if "secrets" in rule["resources"] for verb in rule["verbs"]}
    assert verbs == {"create", "delete"}
    assert "It creates and deletes Secrets" in (ROOT / "charts/bucketops/values.yaml").read_text()


def test_selector_of_the_service_finds_the_pod(default: list[Manifest]) -> None:
    (service,) = of_kind(default, "Service")
    (deployment,) = of_kind(default, "Deployment")
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
