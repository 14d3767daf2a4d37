"""The pods that hear events. They end when they are told to, and finish what is in hand."""

from __future__ import annotations

from bucketops_api.contract import RunResult
from bucketops_api.reasons import Reason
from bucketops_jobs.errors import UserError
from bucketops_jobs.pipeline import checks, hear_minio, hear_webhook
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.pipeline.desk import Desk


def run(context: Context) -> RunResult:
    """Hear until told to stop. Only MinIO tells every pod of everything."""
    events = context.spec.events
    if events is None:
        raise UserError(Reason.INVALID_SPEC, "nothing to listen to: write events")
    checks.require(context)
    desk = Desk(context, shared=events.minio is not None)
    try:
        if events.sqs:
            from bucketops_jobs.pipeline import hear_sqs  # noqa: PLC0415 - brings boto3, which others do without

            hear_sqs.hear(desk, events.sqs)
        elif events.webhook:
            hear_webhook.hear(desk, events.webhook)
        else:
            hear_minio.hear(desk)
    finally:
        desk.listening = False
        desk.close()
    return context.tally.result()
