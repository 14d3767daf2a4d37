"""How hard the pods of a kind work, and what their owner may say about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bucketops_api.v1alpha1.common import Model
from bucketops_api.v1alpha1.pod_template import WorkerTemplate
from bucketops_api.v1alpha1.scalars import Name, Quantity, Shards


class SingleWorker(Model):
    """The one pod of a run, and how hard it works."""

    concurrency: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="Requests in flight per pod, at most.")
    requests_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Of the whole run. Absent: as fast as the store answers."
    )
    service_account_name: Name | None = Field(
        None,
        description="One of the chart's allowed.serviceAccounts. Absent, or default: the namespace's default, without "
        "a token.",
    )
    template: WorkerTemplate = Field(default_factory=WorkerTemplate)


class Worker(SingleWorker):
    """How many pods work, and how hard."""

    parallelism: Annotated[int, Field(ge=1, le=1000)] = Field(4, description="Pods at once.")
    shards: Shards = Field("auto", description="Key ranges that the work is cut into.")
    bytes_per_second: Quantity | None = Field(None, description="Of the whole run. Absent: no limit.")
