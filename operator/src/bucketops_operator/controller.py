"""What holds the operator together: events mark resources, workers reconcile them, a regular look finds the rest.

It knows the API server by cluster.py and nothing of the library that watches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bucketops_api import names
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_operator.cluster import Cluster
from bucketops_operator.errors import Consequence, UnreadableStatusError
from bucketops_operator.executor import Event, Resource
from bucketops_operator.health import Health
from bucketops_operator.metrics import Metrics
from bucketops_operator.reconcile import reconcile
from bucketops_operator.settings import Settings
from bucketops_operator.troubles import troubled
from bucketops_operator.workqueue import Key, Outcome, WorkQueue

CHILDREN = (("batch/v1", "jobs"), ("batch/v1", "cronjobs"), ("v1", "pods"))
"""Watched by their managed-by label."""

_LOOK_SECONDS = 60.0
_LOG = logging.getLogger(__name__)

Metadata = Mapping[str, Any]


class Controller:
    """The operator without its watches: those call `saw_resource` and `saw_child`, in the event loop."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._settings, self._cluster = settings, cluster
        self.loop: asyncio.AbstractEventLoop | None = None
        """Kopf's, once it turns."""
        self._owners: dict[str, Key] = {}
        self._shapes: dict[str, object] = {}
        self._health = Health(time.monotonic())
        self._queue = WorkQueue(self._reconcile, self._tell)
        self.metrics = Metrics(self._queue.depth, lambda: self._health.seconds_since_list(time.monotonic()))

    def saw_resource(self, kind: str, metadata: Metadata, *, deleted: bool) -> None:
        """Take in an event on a resource. Only what is not a status makes work: our own writes come back here too."""
        uid, key = metadata["uid"], Key(kind, metadata["namespace"], metadata["name"])
        self._note(metadata, deleted=deleted)
        if not self._settings.watches(key.namespace):
            return
        shape = (metadata["generation"], metadata.get("labels"), metadata.get("annotations"))
        if deleted:
            self._owners.pop(uid, None)
            self._shapes.pop(uid, None)
        elif self._shapes.get(uid) == shape:
            return
        else:
            self._owners[uid], self._shapes[uid] = key, shape
        self._queue.mark(key)

    def saw_child(self, metadata: Metadata, *, deleted: bool) -> None:
        """Take in an event on a Job or a pod: its owner has work. An owner not seen yet is marked when it is seen."""
        self._note(metadata, deleted=deleted)
        owner = self._owners.get(metadata.get("labels", {}).get(names.LABEL_OWNER, ""))
        if owner is not None:
            self._queue.mark(owner)

    def problems(self) -> list[str]:
        """Say what is dead, for the liveness probe."""
        return self._health.problems(time.monotonic())

    async def run(self) -> None:
        """Look at the world once a minute; have every resource looked at once per resync."""
        resync, every = 0.0, min(_LOOK_SECONDS, self._settings.resync_seconds)
        while True:
            try:
                self._health.listed(await asyncio.to_thread(self._versions), time.monotonic())
                if time.monotonic() >= resync:
                    await self._resync()
                    resync = time.monotonic() + self._settings.resync_seconds
            except Exception as error:  # noqa: BLE001 - the look must outlive any error; the probe counts them
                _LOG.exception("the API server could not be listed", extra={"error": str(error)})
            await asyncio.sleep(every)

    async def stop(self) -> None:
        """End the workers; what they have begun is finished by the next operator."""
        await self._queue.stop()

    def _note(self, metadata: Metadata, *, deleted: bool) -> None:
        if deleted:
            self._health.saw_end(metadata["uid"])
        else:
            self._health.saw(metadata["uid"], int(metadata["resourceVersion"]))

    def _versions(self) -> dict[str, int]:
        found: dict[str, int] = {}
        watched = (*((API_VERSION, kind.plural) for kind in self._settings.kinds()), *CHILDREN)
        for api_version, plural in watched:
            found |= self._cluster.versions(api_version, plural, self._settings.namespaces)
        return found

    async def _resync(self) -> None:
        for resource in await asyncio.to_thread(self._resources):
            self._owners[resource.uid] = _key(resource)
            self.metrics.resources.show(_key(resource), resource.status)
            self._queue.mark(_key(resource))
        for key in self._queue.known():
            self._queue.mark(key)

    def _resources(self) -> list[Resource]:
        kinds, namespaces = self._settings.kinds(), self._settings.namespaces
        listed = (found for kind in kinds for found in self._cluster.resources(kind.name, namespaces))
        return [found for found in listed if self._settings.watches(found.namespace)]

    def _reconcile(self, key: Key) -> Outcome:
        resource = self._cluster.get(*key)
        if resource is None:
            self.metrics.resources.forget(key)
            return Outcome(gone=True)
        begin = time.monotonic()
        desired = reconcile(resource, self._cluster, datetime.now(UTC), self._settings)
        self.metrics.reconciled(key.kind, time.monotonic() - begin)
        self.metrics.resources.show(key, desired.status.model_dump(mode="json", by_alias=True, exclude_none=True))
        return Outcome(desired.requeue)

    def _tell(self, key: Key, error: Exception, decided: Consequence) -> None:
        self.metrics.failed(key.kind, error)
        resource = self._cluster.get(*key) if decided.reason else None
        if resource is None or decided.reason is None:
            return
        event = Event(decided.reason, str(error), "Warning")
        if isinstance(error, UnreadableStatusError):
            self._cluster.emit(resource, [event])
            return
        status = troubled(resource, error, decided.reason, datetime.now(UTC))
        if status is not None:
            self._cluster.write_status(resource, status)
            self._cluster.emit(resource, [event])


def _key(resource: Resource) -> Key:
    return Key(resource.kind, resource.namespace, resource.name)
