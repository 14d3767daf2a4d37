"""The chart's alerts, judged by Prometheus' own promtool: each fires when it should, and is silent when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bucketops_operator.generate import find_root
from bucketops_operator.generators import helm, install
from bucketops_operator.metrics import Metrics
from support.servers import built

pytestmark = pytest.mark.slow

ROOT = find_root(Path(__file__).resolve())
PIPELINE = 'kind="ExifPipeline",namespace="shop",name="pictures"'
RESOURCE = 'kind="S3Migration",namespace="shop",name="avatars"'
UP = 'up{job="bucketops-metrics",namespace="bucketops-system"}'


def of(metric: str, values: str, labels: str = PIPELINE) -> tuple[str, str]:
    return f"bucketops_resource_{metric}{{{labels}}}", values


def condition(type_: str, values: str) -> tuple[str, str]:
    return of("condition", values, f'{RESOURCE},type="{type_}",status="True"')


@dataclass(frozen=True)
class Case:
    """One sample a minute; whether the alert is firing at that minute."""

    alert: str
    why: str
    minute: int
    series: tuple[tuple[str, str], ...]
    fires: bool = True


def fires(alert: str, why: str, minute: int, *series: tuple[str, str]) -> Case:
    return Case(alert, why, minute, series)


def silent(alert: str, why: str, minute: int, *series: tuple[str, str]) -> Case:
    return Case(alert, why, minute, series, fires=False)


CASES = [
    fires("BucketopsResourceStalled", "stalled", 10, condition("Stalled", "1x20")),
    silent("BucketopsResourceStalled", "for two minutes", 10, condition("Stalled", "0x7 1x2 0x20")),
    fires("BucketopsResourceFailed", "failed", 2, condition("Failed", "1x20")),
    silent("BucketopsResourceFailed", "of another status", 2, condition("Failed", "0x20")),
    fires("BucketopsResourceDegraded", "degraded", 16, condition("Degraded", "1x20")),
    silent("BucketopsResourceDegraded", "for a while", 14, condition("Degraded", "1x20")),
    fires(
        "BucketopsReconcileErrors", "again and again", 40,
        ('bucketops_operator_reconcile_errors_total{kind="S3Migration",error="OSError"}', "0+1x60"),
    ),
    silent(
        "BucketopsReconcileErrors", "waiting is none", 40,
        ('bucketops_operator_reconcile_errors_total{kind="S3Migration",error="WaitingError"}', "0+1x60"),
    ),
    fires("BucketopsOperatorDown", "nobody answers", 12, (UP, "0x20")),
    silent("BucketopsOperatorDown", "it answers", 12, (UP, "1x20")),
    fires("BucketopsPipelineDeaf", "both down", 8, of("listeners_wanted", "2x20"), of("listeners_listening", "0x20")),
    silent("BucketopsPipelineDeaf", "suspended", 8, of("listeners_wanted", "0x20"), of("listeners_listening", "0x20")),
    silent(
        "BucketopsPipelineDeaf", "rolled", 8,
        of("listeners_wanted", "2x20"), of("listeners_listening", "2x3 0x3 2x20"),
    ),
    fires(
        "BucketopsPipelineListenersMissing", "one of two", 15,
        of("listeners_wanted", "2x20"), of("listeners_listening", "1x20"),
    ),
    silent(
        "BucketopsPipelineListenersMissing", "all", 15,
        of("listeners_wanted", "2x20"), of("listeners_listening", "2x20"),
    ),
    fires(
        "BucketopsPipelineStreamLost", "every ten minutes", 65,
        of("events_gaps", "0x10 1x10 2x10 3x10 4x10 5x20"), of("listeners_wanted", "1x80"),
    ),
    silent(
        "BucketopsPipelineStreamLost", "five pods, once each", 65,
        of("events_gaps", "0x10 5x60"), of("listeners_wanted", "5x80"),
    ),
    fires("BucketopsPipelineEventsDropped", "some", 20, of("events_dropped", "0x10 500x20")),
    silent("BucketopsPipelineEventsDropped", "long ago", 60, of("events_dropped", "0x10 500x60")),
    fires(
        "BucketopsPipelineEventsLost", "one of ten", 70,
        of("pictures_repaired", "0+1x80"), of("pictures_processed", "0+10x80"),
    ),
    silent(
        "BucketopsPipelineEventsLost", "one of a hundred was under way when the sweep came", 70,
        of("pictures_repaired", "0+1x80"), of("pictures_processed", "0+100x80"),
    ),
    silent(
        "BucketopsPipelineEventsLost", "three in all", 70,
        of("pictures_repaired", "0x30 3x50"), of("pictures_processed", "0x30 3x50"),
    ),
    fires("BucketopsPipelineBacklogOld", "ten minutes", 20, of("events_oldest_pending_seconds", "0+60x30")),
    silent("BucketopsPipelineBacklogOld", "done soon", 20, of("events_oldest_pending_seconds", "20x30")),
    fires("BucketopsPipelineBacklogGrows", "more and more", 40, of("events_pending", "0+200x60")),
    silent("BucketopsPipelineBacklogGrows", "large but falling", 40, of("events_pending", "90000-1000x60")),
    silent("BucketopsPipelineBacklogGrows", "small", 40, of("events_pending", "0+10x60")),
    fires("BucketopsPipelineSlow", "a minute", 20, of("events_latency_p99_milliseconds", "60000x30")),
    silent("BucketopsPipelineSlow", "a second", 20, of("events_latency_p99_milliseconds", "1000x30")),
    fires(
        "BucketopsPipelineRefusesMany", "one of three", 70,
        of("pictures_quarantined", "500+1x80"), of("pictures_skipped", "0x80"), of("pictures_processed", "0+2x80"),
    ),
    silent(
        "BucketopsPipelineRefusesMany", "many, as ever", 70,
        of("pictures_quarantined", "100000x80"), of("pictures_skipped", "0x80"), of("pictures_processed", "0+2x80"),
    ),
    silent(
        "BucketopsPipelineRefusesMany", "a count that a sweep has set right", 70,
        of("pictures_quarantined", "100000x40 99990x40"), of("pictures_skipped", "0x80"),
        of("pictures_processed", "0+2x80"),
    ),
    silent(
        "BucketopsPipelineRefusesMany", "one of eleven", 70,
        of("pictures_quarantined", "0x80"), of("pictures_skipped", "500+1x80"), of("pictures_processed", "0+10x80"),
    ),
    fires("BucketopsPipelineFailing", "one a minute", 40, of("pictures_failed", "0+1x60")),
    silent("BucketopsPipelineFailing", "one in all", 40, of("pictures_failed", "0x20 1x40")),
    fires("BucketopsPipelineQuarantineFails", "one", 20, of("refusals_unwritten", "0x10 1x20")),
    silent("BucketopsPipelineQuarantineFails", "none", 20, of("refusals_unwritten", "0x30")),
    fires("BucketopsPipelineSweepOverdue", "since minute ten", 12, of("sweep_overdue_timestamp_seconds", "600x20")),
    silent("BucketopsPipelineSweepOverdue", "swept", 12, of("sweep_overdue_timestamp_seconds", "600x9 1500x20")),
    silent("BucketopsPipelineSweepOverdue", "no schedule", 12, of("sweep_overdue_timestamp_seconds", "0x20")),
]  # fmt: skip


@pytest.fixture(scope="module")
def groups() -> list[dict[str, Any]]:
    text = helm.template(ROOT, {}, install.NAMESPACE, "--set", "metrics.prometheusRule.enabled=true")
    (rule,) = (found for found in yaml.safe_load_all(text) if found and found["kind"] == "PrometheusRule")
    return list(rule["spec"]["groups"])


@pytest.fixture(scope="module")
def rules(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def as_promtool_reads_it(case: Case, severity: str) -> dict[str, Any]:
    """https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/"""
    return {
        "name": f"{case.alert}: {case.why}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname, severity) (ALERTS{{alertname="{case.alert}",alertstate="firing"}})',
                "eval_time": f"{case.minute}m",
                "exp_samples": [{"labels": f'{{alertname="{case.alert}",severity="{severity}"}}', "value": 1}]
                if case.fires
                else [],
            }
        ],
    }


def promtool(*arguments: str | Path) -> str:
    """That of the PATH, or the one that the test cluster builds, as with helm."""
    command = [shutil.which("promtool") or built("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_reads_every_rule(groups: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", path)


def test_each_alert_fires_when_it_should_and_is_silent_when_it_should(
    groups: list[dict[str, Any]], rules: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    tests = [as_promtool_reads_it(case, rules[case.alert]["labels"]["severity"]) for case in CASES]
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", path)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(
    rules: dict[str, dict[str, Any]],
) -> None:
    wanted = {(alert, fires) for alert in rules for fires in (True, False)}
    assert {(case.alert, case.fires) for case in CASES} == wanted


def test_the_cases_are_about_metrics_that_the_operator_has() -> None:
    served = {family.name for family in Metrics(lambda: 0.0, lambda: 0.0).registry.collect()}
    used = {name.partition("{")[0].removesuffix("_total") for case in CASES for name, _ in case.series}
    assert used - {"up"} <= served


def test_an_alert_of_a_pipeline_names_it_and_has_a_section_for_whoever_is_called(
    rules: dict[str, dict[str, Any]],
) -> None:
    sections = set(re.findall(r"^### (Bucketops\w+)$", (ROOT / "docs/exif.md").read_text(), flags=re.MULTILINE))
    pipeline = {name: rule for name, rule in rules.items() if name.startswith("BucketopsPipeline")}
    assert sections == set(pipeline)
    for name, rule in pipeline.items():
        assert "{{ $labels.namespace }}/{{ $labels.name }}" in rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/exif.md#{name.lower()}"


def test_thresholds_are_those_of_the_values() -> None:
    text = helm.template(
        ROOT, {}, install.NAMESPACE, "--set",
        "metrics.prometheusRule.enabled=true,metrics.prometheusRule.pipeline.oldestPendingSeconds=77"
        ",metrics.prometheusRule.pipeline.latencyP99Seconds=7,metrics.prometheusRule.pipeline.refusedPercent=33",
    )  # fmt: skip
    assert '_oldest_pending_seconds{kind="ExifPipeline"}) > 77\n' in text
    assert '_p99_milliseconds{kind="ExifPipeline"}) / 1000 > 7\n' in text
    assert "> 33 / (100 - 33) *" in text
