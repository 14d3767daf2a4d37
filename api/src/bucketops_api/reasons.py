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
    APPLICATION_STILL_WRITES = "ApplicationStillWrites"
    PREFLIGHT_WARNING = "PreflightWarning"

    INVALID_SPEC = "InvalidSpec"
    CREDENTIALS_MISSING = "CredentialsMissing"
    ACCESS_DENIED = "AccessDenied"
    BUCKET_NOT_FOUND = "BucketNotFound"
    ENDPOINT_UNREACHABLE = "EndpointUnreachable"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_REFUSED = "DatabaseRefused"
    TABLE_NOT_FOUND = "TableNotFound"
    INDEX_MISSING = "IndexMissing"
    OVERLAP = "Overlap"
    CLAIMED = "Claimed"
    CLOCK_SKEW = "ClockSkew"
    GUARD_EXCEEDED = "GuardExceeded"
    REFERENCE_INVALID = "ReferenceInvalid"
    CONTRACT_MISMATCH = "ContractMismatch"
    RUN_FAILED = "RunFailed"
    PARTIALLY_FAILED = "PartiallyFailed"
    AUDIT_FAILED = "AuditFailed"
    RETRYING = "Retrying"
    REFUSED = "Refused"
