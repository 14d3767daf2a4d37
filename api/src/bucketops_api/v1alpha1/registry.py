"""All kinds, for whoever deals with each of them. A new kind is a new file beside the others and a line here."""

from bucketops_api.v1alpha1.access import S3ACCESS
from bucketops_api.v1alpha1.exifpipeline import EXIFPIPELINE
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.migration import S3MIGRATION
from bucketops_api.v1alpha1.retention import S3RETENTION

KINDS: dict[str, Kind] = {kind.name: kind for kind in (S3MIGRATION, S3RETENTION, S3ACCESS, EXIFPIPELINE)}
