"""A pair on its way into the credentials Secret: in a cluster by the Job's own ServiceAccount, on a laptop as files."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_jobs.access.keys import Pair
from bucketops_jobs.errors import TransientError, UserError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
POD = Path(names.MOUNT_ROOT)
"""Where a pod's files are mounted."""
SCHEME = "https"
_SECONDS = 10
_FORBIDDEN, _NOT_FOUND = 403, 404
_ANOTHER = {409, 422}
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Delivery:
    """The way to one Secret."""

    namespace: str
    secret: str
    root: Path
    uid: str = ""
    """Of the Secret that the operator made: no other one is written. Empty: the Secret was given."""

    def require(self) -> None:
        """See that the Secret can be written, before a key is made that is shown once; UserError where it cannot."""
        if self._in_pod:
            self._patch({})

    def put(self, pair: Pair) -> None:
        """Put the pair into the Secret."""
        values = {names.ACCESS_KEY: pair.id, names.SECRET_KEY: pair.secret}
        if self._in_pod:
            self._patch(values)
            return
        folder = self.root / names.DELIVERED_DIR / self.secret
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, value in values.items():
            (folder / name).write_text(value)

    @property
    def _in_pod(self) -> bool:
        """A worker on a laptop has a folder of its own, also where the laptop is a pod with an account of its own."""
        return self.root == POD

    def _patch(self, values: dict[str, str]) -> None:
        if not (ACCOUNT / "token").is_file():
            raise _refusal(_FORBIDDEN, self.secret)
        _patch(self.namespace, self.secret, values, self.uid)

    def delivered(self) -> dict[str, str]:
        """What an earlier attempt of this Job has put there, on a laptop; a Secret's mount shows it in a cluster."""
        folder = self.root / names.DELIVERED_DIR / self.secret
        return {file.name: file.read_text() for file in folder.iterdir()} if folder.is_dir() else {}


def _patch(namespace: str, secret: str, values: dict[str, str], uid: str) -> None:
    """One request needs no client library: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/.

    A uid never changes: with that of another object the API server refuses the patch.
    """
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    body = {"data": data} | ({"metadata": {"uid": uid}} if uid else {})
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    request = urllib.request.Request(  # noqa: S310 - the API server
        f"{SCHEME}://{f'[{host}]' if ':' in host else host}:{port}/api/v1/namespaces/{namespace}/secrets/{secret}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": _MERGE},
        method="PATCH",
    )
    MASK.learn({"token": request.get_header("Authorization", "").rpartition(" ")[2]})
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        urllib.request.urlopen(request, timeout=_SECONDS, context=trusted).close()  # noqa: S310 - the same
    except urllib.error.HTTPError as error:
        raise _refusal(error.code, secret) from None
    except OSError as error:
        raise TransientError(f"the API server cannot be reached: {error}") from None


def _refusal(status: int, secret: str) -> Exception:
    if status == _FORBIDDEN:
        return UserError(
            Reason.ACCESS_DENIED,
            f"this Job may not write Secret {secret}: apply the RBAC that `bucketops policy S3Access -f FILE` "
            "prints and name that ServiceAccount in worker.serviceAccountName",
        )
    if status == _NOT_FOUND:
        return UserError(Reason.CREDENTIALS_MISSING, f"Secret {secret} has just been deleted: it is made anew")
    if status in _ANOTHER:
        return UserError(
            Reason.REFUSED,
            f"Secret {secret} is not the one that was made for this resource, so no key was put there: delete it, "
            "and it is made anew",
        )
    return TransientError(f"Secret {secret} was not written: HTTP {status}")
