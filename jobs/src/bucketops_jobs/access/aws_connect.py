"""A user of IAM, by boto3."""

from __future__ import annotations

from pathlib import Path

from bucketops_api.contract import RunSpec
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_jobs.access.aws_users import AwsUsers
from bucketops_jobs.access.delivery import Delivery
from bucketops_jobs.s3.boto import session
from bucketops_jobs.s3.identity import ca_file

_REGION = "us-east-1"
"""The region that IAM calls are signed for: IAM is one for all regions. STS is asked there unless another is said."""


def users(run: RunSpec, spec: AccessSpec, root: Path) -> AwsUsers:
    """Return the user as the admin reaches it; UserError names what is missing."""
    ref = spec.admin.bucket(spec.grants[0].bucket)
    own = [ref.model_copy(update={"assume_role": None})] if ref.assume_role else []
    where = {"endpoint_url": ref.endpoint, "region_name": ref.region or _REGION}
    where |= {"verify": str(ca_file(ref.ca_bundle, root))} if ref.ca_bundle else {}
    identities = [session(each, root).client("sts", **where) for each in (ref, *own)]
    delivery = Delivery(run.namespace, spec.credentials_secret.name, root, run.secret_uid)
    iam = session(ref, root).client("iam", **where)
    return AwsUsers(iam, spec, run.namespace, run.name, delivery, identities=identities)
