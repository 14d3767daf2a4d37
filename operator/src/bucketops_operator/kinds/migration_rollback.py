"""What a rollback is about, and why it cannot begin or go on. Pure."""

from __future__ import annotations

from pydantic import ValidationError

from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.migration import MigrationRequest, MigrationSpec, MigrationStatus
from bucketops_api.v1alpha1.rollback import work_of
from bucketops_operator import conditions
from bucketops_operator.executor import Origin, Resource

_AT_REST = (conditions.COMPLETE, conditions.FAILED, conditions.STALLED, conditions.SUSPENDED)


class NotNowError(Exception):
    """The rollback cannot begin, or go on; the message says what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def spec_of(resource: Resource) -> MigrationSpec:
    """The whole spec of a migration, or of a rollback of one.

    Raises ValidationError where it, and NotNowError where what it names, cannot be worked with.
    """
    request = MigrationRequest.model_validate(resource.spec)
    if request.rollback_of is None:
        return work_of(request)
    return work_of(request, _origin(resource, request.rollback_of))


def _origin(resource: Resource, name: str) -> MigrationRequest:
    if resource.origin is None:
        raise NotNowError(
            Reason.INVALID_SPEC,
            f"S3Migration {resource.namespace}/{name}, which rollbackOf names, does not exist: mend the name, or apply "
            "that migration again as it was (with suspend: true it does nothing)",
        )
    try:
        found = MigrationRequest.model_validate(resource.origin.resource.spec)
    except ValidationError as error:
        message = f"the spec of {name} is not valid: {error.errors()[0]['msg']}"
        raise NotNowError(Reason.INVALID_SPEC, message) from error
    if found.rollback_of is not None:
        raise NotNowError(
            Reason.INVALID_SPEC,
            f"{name} is a rollback itself: to move again what it brought back, set a new trigger on "
            f"{found.rollback_of}, the migration that it rolled back",
        )
    return found


def require_rest(origin: Origin) -> None:
    """NotNowError while the migration is at work; of one without a status nobody knows."""
    status = MigrationStatus.model_validate(origin.resource.status)
    known = bool(status.conditions)
    if origin.pods or (known and not any(conditions.is_true(status.conditions, type_) for type_ in _AT_REST)):
        name = origin.resource.name
        raise NotNowError(
            Reason.CLAIMED,
            f"{name} is at work (phase {status.phase or 'Pending'}): set spec.suspend: true on it and wait for its "
            "condition Suspended, or wait for its end; the rollback then begins by itself",
        )
