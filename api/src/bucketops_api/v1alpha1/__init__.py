"""Group bucketops.dev, version v1alpha1. A new kind is a new file beside the others and a line here."""

from bucketops_api.v1alpha1.access import S3ACCESS
from bucketops_api.v1alpha1.exifpipeline import EXIFPIPELINE
from bucketops_api.v1alpha1.kind import API_VERSION, GROUP, VERSION, Kind
from bucketops_api.v1alpha1.migration import S3MIGRATION
from bucketops_api.v1alpha1.retention import S3RETENTION

KINDS: dict[str, Kind] = {kind.name: kind for kind in (S3MIGRATION, S3RETENTION, S3ACCESS, EXIFPIPELINE)}

__all__ = ["API_VERSION", "EXIFPIPELINE", "GROUP", "KINDS", "S3ACCESS", "S3MIGRATION", "S3RETENTION", "VERSION", "Kind"]
