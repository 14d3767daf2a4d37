"""Who calls, and whom to trust: mounted Secrets and CA bundles. Other identities are boto3's business (boto.py)."""

from __future__ import annotations

from pathlib import Path

from bucketops_api import names
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef, CaBundle
from bucketops_jobs.errors import UserError

_KEYS = (names.ACCESS_KEY, names.SECRET_KEY)


def secret(root: Path, name: str) -> dict[str, str]:
    """The keys of a mounted Secret; empty where the Secret is absent (the mount is optional)."""
    folder = root / names.SECRETS_DIR / name
    if not folder.is_dir():
        return {}
    return {file.name: file.read_text().strip() for file in folder.iterdir() if not file.name.startswith("..")}


def pair(ref: BucketRef, root: Path) -> tuple[str, ...] | None:
    """Access key, secret key and, if there is one, session token of the Secret that a bucket names.

    None: it names no Secret. UserError names the Secret or key that is missing.
    """
    if ref.credentials is None:
        return None
    name = ref.credentials.secret_ref.name
    found = secret(root, name)
    missing = [key for key in _KEYS if not found.get(key)]
    if missing:
        what = f"has no key {' and '.join(missing)}" if found else "does not exist"
        raise UserError(
            Reason.CREDENTIALS_MISSING,
            f"Secret {name} (bucket {ref.bucket}) {what}: create it with {', '.join(_KEYS)}",
        )
    access, key = (found[name] for name in _KEYS)
    token = found.get(names.SESSION_TOKEN)
    return (access, key, token) if token else (access, key)


def ca_file(bundle: CaBundle, root: Path) -> Path:
    """The mounted file of a CA bundle; UserError when it is not there."""
    ref, folder, kind = (
        (bundle.secret_ref, names.SECRETS_DIR, "Secret")
        if bundle.secret_ref
        else (bundle.config_map_ref, names.CONFIG_MAPS_DIR, "ConfigMap")
    )
    if ref is None:
        raise UserError(Reason.INVALID_SPEC, "caBundle: name one of configMapRef and secretRef")
    path = root / folder / ref.name / ref.key
    if not path.is_file():
        raise UserError(Reason.CREDENTIALS_MISSING, f"{kind} {ref.name} has no key {ref.key}: create it, in PEM form")
    return path
