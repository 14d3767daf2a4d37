"""A child counts only if its controller reference is its owner's, and forged or odd labels break nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import names
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_operator import children, podstate
from bucketops_operator.executor import Resource

OWNER = Resource("S3Migration", "prod", "avatars", "uid-1", 1, {})


def reference(**changes: Any) -> dict[str, Any]:
    ours = {"apiVersion": API_VERSION, "kind": OWNER.kind, "name": OWNER.name, "uid": OWNER.uid, "controller": True}
    return ours | changes


def thing(name: str = "avatars-1-copy", *references: dict[str, Any], **labels: str) -> dict[str, Any]:
    marks = {names.LABEL_OWNER: OWNER.uid, names.LABEL_RUN: name, names.LABEL_PHASE: "copy"} | labels
    return {"metadata": {"name": name, "labels": marks, "ownerReferences": list(references)}}


def test_what_the_resource_controls_is_its_own() -> None:
    assert children.is_controlled(thing("avatars-1-copy", reference()), OWNER)


@pytest.mark.parametrize(
    "references",
    [
        (),
        (reference(controller=False),),
        (reference(uid="uid-2"),),
        (reference(kind="S3Retention"),),
        (reference(apiVersion="bucketops.example/v1"),),
        (reference(controller=False), reference(uid="uid-2")),
    ],
)
def test_labels_alone_make_no_child(references: tuple[dict[str, Any], ...]) -> None:
    assert not children.is_controlled(thing("avatars-1-copy", *references), OWNER)


def test_what_is_made_while_a_resource_is_being_deleted_has_no_controller() -> None:
    deleting = Resource("S3Access", "prod", "user-a", "uid-1", 1, {}, deleting=True)
    assert children.is_controlled(thing("user-a-2-revoke"), deleting)
    assert not children.is_controlled(thing("user-a-2-revoke", reference(uid="uid-2")), deleting)


@pytest.mark.parametrize("name", ["avatars-1-copy", "avatars-scheduled-29000001", "a-b-12-preflight"])
def test_a_job_that_is_named_as_a_run_is_one(name: str) -> None:
    assert children.is_run(thing(name))
    assert names.run_number(name) >= 1


@pytest.mark.parametrize(
    "name",
    ["evil", "avatars-1-copy-debug", "avatars-x-copy", "avatars-1-", "-1-copy", "a-scheduled-", "a-1-Copy"],
)
def test_a_copy_under_another_name_is_no_run(name: str) -> None:
    assert not children.is_run(thing(name))


def test_a_job_without_a_phase_is_no_run() -> None:
    assert not children.is_run(thing("avatars-1-copy", **{names.LABEL_PHASE: ""}))


@given(st.text(max_size=70))
def test_the_number_of_every_name_that_is_taken_for_a_run_can_be_read(name: str) -> None:
    if names.is_run_name(name):
        assert names.run_number(name) >= 0


def test_a_pod_is_a_jobs_only_if_the_job_controls_it() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "avatars-1-copy", "uid": "job-1", "controller": True}
    assert children.is_pod_of(thing("avatars-1-copy-0-abcde", job), "avatars-1-copy")
    assert not children.is_pod_of(thing("avatars-1-copy-0-abcde", job | {"name": "other"}), "avatars-1-copy")
    assert not children.is_pod_of(thing("avatars-1-copy-0-abcde"), "avatars-1-copy")


def test_a_replica_is_a_numbered_pod_of_the_listening_set() -> None:
    pipeline = Resource("ExifPipeline", "prod", "pictures", "uid-1", 1, {})
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pictures-events", "uid": "s", "controller": True}
    assert children.is_replica(thing("pictures-events-0", owner), pipeline)
    for name, references in (
        ("pictures-events-debug", [owner]),
        ("pictures-events-٣", [owner]),
        ("pictures-0", [owner]),
        ("pictures-events-0", []),
        ("pictures-events-0", [owner | {"kind": "ReplicaSet"}]),
        ("pictures-events-0", [owner | {"name": "other-events"}]),
    ):
        assert not children.is_replica(thing(name, *references), pipeline)


@pytest.mark.parametrize(("text", "index"), [("3", 3), ("x", -1), ("", -1), ("-1", -1), ("²", -1), ("1e3", -1)])
def test_an_index_that_somebody_has_edited_is_nobodys(text: str, index: int) -> None:
    pod = {"metadata": {"annotations": {"batch.kubernetes.io/job-completion-index": text}}}
    assert podstate.index(pod) == index
