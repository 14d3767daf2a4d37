"""A status that somebody has edited: one resource waits for a person, and nobody else notices."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import Status
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import statuses
from bucketops_operator.cluster import Cluster
from bucketops_operator.controller import Controller
from bucketops_operator.errors import UnreadableStatusError, consequence
from bucketops_operator.executor import Event, Resource
from bucketops_operator.metrics import Resources
from bucketops_operator.reconcile import reconcile
from bucketops_operator.settings import Settings
from bucketops_operator.workqueue import Key

NOW = datetime(2026, 6, 15, tzinfo=UTC)
RUN = {"id": "web-1-retain", "phase": "retain", "startedAt": "2026-01-01T00:00:00Z"}
CONDITION = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "observedGeneration": 1}
ODD_TIMES = ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01t00:00:60z"]
"""All of them are date-times to the API server."""
ODD: list[tuple[dict[str, Any], str]] = [
    *(({"runs": [RUN | {"startedAt": when}]}, "runs.0.startedAt") for when in ODD_TIMES),
    *(({"runs": [RUN | {"completedAt": when}]}, "runs.0.completedAt") for when in ODD_TIMES),
    *(({"conditions": [CONDITION | {"lastTransitionTime": when}]}, "conditions.0") for when in ODD_TIMES),
    *(({"runs": [RUN | {"id": name}]}, "runs.0.id") for name in ("", "web", "web-x-y", "web-1-", "web-99999999999-x")),
    ({"runs": [RUN, {"id": "web-2-retain"}]}, "runs.1.phase"),
]


def resource(kind: str, status: dict[str, Any]) -> Resource:
    return Resource(kind, "shop", "web", "uid-1", 1, {}, status)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "where"), ODD)
def test_a_status_that_cannot_be_read_is_told_with_its_field_and_nothing_is_done(
    kind: str, status: dict[str, Any], where: str
) -> None:
    """It was an error that not even an Event told of, again and again."""
    nothing: Any = SimpleNamespace()  # any call of it fails
    with pytest.raises(UnreadableStatusError) as error:
        reconcile(resource(kind, status), nothing, NOW, Settings())
    words = str(error.value).replace("started_at", "startedAt").replace("completed_at", "completedAt")
    assert f"status.{where}" in words
    assert f"kubectl edit --subresource=status {kind.lower()} web" in words
    assert "errors.pydantic.dev" not in words


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_writes_can_be_read(kind: str) -> None:
    assert statuses.known(resource(kind, {})) == KINDS[kind].status()
    condition = CONDITION | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    found = statuses.known(resource(kind, {"runs": [RUN], "conditions": [condition]}))
    assert found.runs[0].id == "web-1-retain"


def test_an_event_tells_of_it_and_no_status_is_written_over_it() -> None:
    told: list[Event] = []
    found = resource("S3Retention", {"runs": [RUN | {"id": ""}]})

    def emit(_: Resource, events: list[Event]) -> None:
        told.extend(events)

    cluster: Any = SimpleNamespace(get=lambda *_: found, emit=emit)  # it has no write_status
    controller = Controller(Settings(), cast("Cluster", cluster))
    with pytest.raises(UnreadableStatusError) as error:
        statuses.known(found)
    controller._tell(  # noqa: SLF001 - what the queue calls
        Key("S3Retention", "shop", "web"), error.value, consequence(error.value, 1)
    )
    assert [(event.type, event.reason) for event in told] == [("Warning", Reason.CONTRACT_MISMATCH)]
    assert told[0].message.startswith("status.runs.0.id cannot be read")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "status",
    [
        *(status for status, _ in ODD),
        {"sweepOverdueAt": ODD_TIMES[0]},
        *({"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": when}]} for when in ODD_TIMES),
        {"scheduled": {"runs": [{}]}},
        {"scheduled": {"runs": [{"result": "Succeeded"}]}},
        {"conditions": [{}]},
        {"progress": None, "outcomes": None, "shards": None},
    ],
)
def test_one_odd_status_takes_no_metrics_of_other_resources_away(kind: str, status: dict[str, Any]) -> None:
    """Whoever could edit one status made the operator answer no scrape at all: every alert of the cluster was blind."""
    resources, registry = Resources(), CollectorRegistry()
    registry.register(resources)
    resources.show(Key(kind, "shop", "odd"), status)
    resources.show(Key("S3Migration", "shop", "avatars"), {"progress": {"percent": 41}})
    text = generate_latest(registry).decode()
    assert 'bucketops_resource_progress_percent{kind="S3Migration",name="avatars",namespace="shop"} 41.0' in text
    assert 'bucketops_resource_shards{kind="' + kind + '",name="odd"' in text


def test_every_status_is_a_status() -> None:
    assert all(issubclass(kind.status, Status) for kind in KINDS.values())
