"""Who calls, and whom to trust: mounted Secrets and CA bundles. Other identities are boto3's business (boto.py).

The kubelet puts a changed Secret into the mounts of running pods, about a minute late:
https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
"""

from __future__ import annotations

from pathlib import Path

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_api.v1alpha1.common import BucketRef, CaBundle
from bucketops_jobs.errors import UserError
from bucketops_jobs.s3.signing import Credentials

_KEYS = (names.ACCESS_KEY, names.SECRET_KEY)
_VERSION = "..data"
"""Where the kubelet mounts a Secret, a link to the folder of its present version; the files are links through it."""


class Mounted:
    """The identity that a bucket's Secret holds now: who rotates a key need not start the workers anew."""

    def __init__(self, bucket: str, name: str, root: Path) -> None:
        self._bucket, self._name, self._root = bucket, name, root
        self._file = root / names.SECRETS_DIR / name / names.ACCESS_KEY
        self._seen, self._known = self._stamp(), _pair(bucket, name, root)

    def __call__(self) -> Credentials:
        """Read again whenever the files are others; UserError names the Secret or key that has gone."""
        seen = self._stamp()
        if seen != self._seen:
            self._known, self._seen = _pair(self._bucket, self._name, self._root), seen
        return self._known

    def _stamp(self) -> tuple[int, int] | None:
        """Changes with the file; a look at it costs two microseconds."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def mounted(ref: BucketRef, root: Path) -> Mounted | None:
    """The identity of a bucket that names a Secret; UserError names the Secret or key that is missing."""
    return Mounted(ref.bucket, ref.credentials.secret_ref.name, root) if ref.credentials else None


def secret(root: Path, name: str) -> dict[str, str]:
    """The keys of a mounted Secret, all of one version; empty where the Secret is absent (the mount is optional).

    The one place where Secrets are read: no word of this process shows a value of theirs from then on.
    """
    folder = root / names.SECRETS_DIR / name
    if not folder.is_dir():
        return {}
    try:
        found = _files(folder)
    except FileNotFoundError:  # another version has just taken its place
        found = _files(folder)
    MASK.learn(found)
    return found


def _files(folder: Path) -> dict[str, str]:
    version = (folder / _VERSION).resolve()
    files = (version if version.is_dir() else folder).iterdir()
    texts = ((file.name, _text(file)) for file in files if not file.name.startswith(".."))
    return {name: text for name, text in texts if text is not None}


def _text(file: Path) -> str | None:
    """A value; None for what is no text, such as a keystore that others use."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        return None


def _pair(bucket: str, name: str, root: Path) -> Credentials:
    found = secret(root, name)
    missing = [key for key in _KEYS if not found.get(key)]
    if missing:
        what = f"has no key {' and '.join(missing)}" if found else "does not exist"
        raise UserError(
            Reason.CREDENTIALS_MISSING,
            f"Secret {name} (bucket {bucket}) {what}: create it with {', '.join(_KEYS)}",
        )
    access_key, secret_key = (found[key] for key in _KEYS)
    return Credentials(access_key, secret_key, found.get(names.SESSION_TOKEN, ""))


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
    if bundle.secret_ref:
        secret(root, ref.name)
    if not path.is_file():
        raise UserError(Reason.CREDENTIALS_MISSING, f"{kind} {ref.name} has no key {ref.key}: create it, in PEM form")
    return path
