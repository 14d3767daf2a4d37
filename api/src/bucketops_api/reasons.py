"""Condition types and the closed list of their reasons; every Event carries one of these reasons too."""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """As kstatus and `kubectl wait` read them."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    DEGRADED = "Degraded"
    ACCESS_VERIFIED = "AccessVerified"


class Reason(StrEnum):
    """Why a condition has its status."""

    PREFLIGHT = "Preflight"
    COPYING = "Copying"
    SWEEPING = "Sweeping"
    SOAKING = "Soaking"
    DELETING = "Deleting"
    AUDITING = "Auditing"
    PLANNING = "Planning"
    PLANNED = "Planned"
    SUCCEEDED = "Succeeded"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    NOT_SUSPENDED = "NotSuspended"
    IN_PROGRESS = "InProgress"
    HEALTHY = "Healthy"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    ROWS_WITHOUT_OBJECT = "RowsWithoutObject"
    OBJECTS_WITHOUT_ROW = "ObjectsWithoutRow"
    APPLICATION_STILL_WRITES = "ApplicationStillWrites"
    PREFLIGHT_WARNING = "PreflightWarning"
    GRANTING = "Granting"
    CHECKING = "Checking"
    ROTATING = "Rotating"
    REVOKING = "Revoking"
    REVOKED = "Revoked"
    RETAINED = "Retained"
    GRANTED = "Granted"
    ROTATED = "Rotated"
    DRIFT_REPAIRED = "DriftRepaired"
    VERIFIED = "Verified"
    NOT_AS_GRANTED = "NotAsGranted"

    INVALID_SPEC = "InvalidSpec"
    CREDENTIALS_MISSING = "CredentialsMissing"
    ACCESS_DENIED = "AccessDenied"
    BUCKET_NOT_FOUND = "BucketNotFound"
    STORAGE_FULL = "StorageFull"
    ENDPOINT_UNREACHABLE = "EndpointUnreachable"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_REFUSED = "DatabaseRefused"
    TABLE_NOT_FOUND = "TableNotFound"
    INDEX_MISSING = "IndexMissing"
    OVERLAP = "Overlap"
    USER_EXISTS = "UserExists"
    POLICY_TOO_LONG = "PolicyTooLong"
    CLAIMED = "Claimed"
    CLOCK_SKEW = "ClockSkew"
    GUARD_EXCEEDED = "GuardExceeded"
    REFERENCE_INVALID = "ReferenceInvalid"
    CONTRACT_MISMATCH = "ContractMismatch"
    RUN_FAILED = "RunFailed"
    RESULT_UNKNOWN = "ResultUnknown"
    RESULT_TOO_LARGE = "ResultTooLarge"
    PARTIALLY_FAILED = "PartiallyFailed"
    AUDIT_FAILED = "AuditFailed"
    RETRYING = "Retrying"
    REFUSED = "Refused"


OPEN_ENDS = frozenset({Reason.ROWS_WITHOUT_OBJECT, Reason.OBJECTS_WITHOUT_ROW})
"""Of `Degraded` beside `Complete`: the work is done, and a person must look at something all the same."""
