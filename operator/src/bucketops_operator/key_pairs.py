"""New key pairs, and what is said of those of others; the cluster's Secrets are in keysecrets.py."""

from __future__ import annotations

import secrets
import string

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_operator.errors import StalledError

_ID_LENGTH, _SECRET_LENGTH = 20, 40


def new_pair() -> dict[str, str]:
    """A key pair as MinIO takes one: an id of 20, a secret of 40 characters (238 bits)."""
    upper, every = string.ascii_uppercase + string.digits, string.ascii_letters + string.digits
    secret = {names.SECRET_KEY: "".join(secrets.choice(every) for _ in range(_SECRET_LENGTH))}
    MASK.learn(secret)
    return {names.ACCESS_KEY: "".join(secrets.choice(upper) for _ in range(_ID_LENGTH))} | secret


def not_ours(name: str) -> StalledError:
    """What is said of a Secret that was to be replaced and is not the one that was made."""
    return StalledError(
        Reason.REFUSED,
        f"Secret {name} is not the one that was made for this resource, so the new key was not put in its place: "
        "delete it, and it is made anew",
    )
