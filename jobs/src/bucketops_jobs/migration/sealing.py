"""The keys that a migration's journal is sealed with: whoever may only write to the bucket has none of them.

One is the status's, made by chance; it outlives each rotation of the Secret. One is derived from the secret key of the
identity that writes the records; it outlives the status, and is the only one on a laptop. A file counts by either.
"""

from __future__ import annotations

from pathlib import Path

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.v1alpha1.common import BucketRef
from bucketops_jobs.s3 import identity
from bucketops_jobs.seal import Derived, Seal

_PURPOSE = "bucketops S3Migration: journal"
_FORMER = 8
"""Former secret keys that are tried."""


def seal(ref: BucketRef, root: Path, journal_key: str) -> Seal:
    """Return the seal of the journal in a bucket; UserError names the Secret or key that is missing."""
    MASK.learn({"journalKey": journal_key})
    current, former = _secret_keys(ref, root)
    lasting = [Derived(current, _PURPOSE)] if current else []
    return Seal([journal_key.encode(), *lasting], [Derived(key, _PURPOSE) for key in former])


def _secret_keys(ref: BucketRef, root: Path) -> tuple[str, list[str]]:
    """The secret key of the bucket's Secret, and former ones; '' for an identity that has none, or none that stays."""
    who = identity.mounted(ref, root)
    if who is None or ref.credentials is None:
        return "", []
    now = who()
    former = identity.secret(root, ref.credentials.secret_ref.name).get(names.FORMER_SECRET_KEYS, "").split()[:_FORMER]
    MASK.learn({f"{names.FORMER_SECRET_KEYS}-{number}": key for number, key in enumerate(former)})
    return "" if now.token else now.secret_key, former
