"""Requests to the API server, and the only module that imports its client.

Objects stay plain data: the client's generated classes would copy every pod twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes.client
import kubernetes.config
import urllib3

from bucketops_api.masking import MASK
from bucketops_operator.errors import AnswerTooLargeError, ApiError
from bucketops_operator.executor import Manifest

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Asks for lists without specs and statuses: https://kubernetes.io/docs/reference/using-api/api-concepts/."""

_SECONDS = (5, 30)
PAGE = 500
"""Objects of one page at most: of small ones."""
MOST_BYTES = 32 << 20
"""Bytes of one answer. A single object has 1.5 MiB at most (etcd's limit); pages are asked for again with fewer."""
_CHUNK = 1 << 20
_NOT_FOUND = 404


class Api:
    """JSON in, JSON out, a time limit on each request (5 s to connect, 30 s to answer), refusals as ApiError."""

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self._client = client

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Manifest | None = None,
        content: str = JSON,
        accept: str = JSON,
    ) -> Json:
        """Send one request and return what the API server answers."""
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        _learn_token(request[2])
        response = self._client.call_api(*request, _request_timeout=_SECONDS)
        return _answer(response.status, _read(response.response))

    def find(self, path: str) -> Json | None:
        """Get an object, or None where there is none."""
        try:
            return self.call("GET", path)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def pages(self, path: str, query: Mapping[str, object], accept: str = JSON) -> Iterator[Json]:
        """Yield every object of a list, 500 at a time, or fewer where a page would have too many bytes."""
        token, limit = "", PAGE
        while True:
            following = {"continue": token} if token else {}
            try:
                page = self.call("GET", path, query={**query, "limit": limit, **following}, accept=accept)
            except AnswerTooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)
                continue
            yield from page.get("items") or ()
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def delete(self, path: str, uid: str = "") -> None:
        """Delete an object, and in the background what it owns; one that is gone is fine. `uid`: that one only."""
        options: Json = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            self.call("DELETE", path, body=options)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise


def connect() -> Api:
    """Reach the API server as the pod's ServiceAccount, or else by the user's kubeconfig."""
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return Api(kubernetes.client.ApiClient(configuration))


def path(api_version: str, plural: str, namespace: str = "", name: str = "") -> str:
    """Build the path of an object, of a namespace's list (no name) or of the cluster's (no namespace)."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def _learn_token(headers: Mapping[str, str]) -> None:
    """Hide our own token: a server in between may show what it was told. It is another one every hour."""
    MASK.learn({"token": headers.get("authorization", headers.get("Authorization", "")).rpartition(" ")[2]})


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the whole body; AnswerTooLargeError, and the connection is closed, if it is larger than MOST_BYTES."""
    whole = bytearray()
    while part := response.read(_CHUNK):
        whole += part
        if len(whole) > MOST_BYTES:
            response.close()
            raise AnswerTooLargeError(f"the API server's answer is larger than {MOST_BYTES >> 20} MiB")
    response.release_conn()
    return bytes(whole)


def _answer(status: int, text: bytes) -> Json:
    if status < 300:  # noqa: PLR2004 - HTTP
        answer: Json = json.loads(text)
        return answer
    try:
        told = json.loads(text)
        raise ApiError(status, told.get("reason", ""), told.get("message", ""))
    except (ValueError, AttributeError):
        raise ApiError(status, "", text[:500].decode(errors="replace")) from None
