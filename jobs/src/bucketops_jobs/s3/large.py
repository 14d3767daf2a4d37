"""Bodies that are too large to be held in memory: streamed by boto3."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
from typing import Any, BinaryIO, cast

from bucketops_jobs.errors import TransientError
from bucketops_jobs.s3 import wire
from bucketops_jobs.s3.store import Content

_BLOCK = 1 << 20
"""Bytes."""
_PARAMETERS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "expires": "Expires",
    "if-match": "IfMatch",
    "if-none-match": "IfNoneMatch",
    "x-amz-request-payer": "RequestPayer",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-storage-class": "StorageClass",
    "x-amz-tagging": "Tagging",
}
"""boto3's names of the headers that we send."""


def get(control: Any, bucket: str, request: wire.Request, key: str) -> Content:  # noqa: ANN401 - boto3 has no types
    """GET as a stream; close its body."""
    answer = control.get_object(Bucket=bucket, Key=key, **parameters(request.headers))
    received = tuple(answer["ResponseMetadata"]["HTTPHeaders"].items())
    headers = wire.content_headers(wire.Response(0, received, b""))
    return Content(wire.bare(answer["ETag"]), answer["ContentLength"], answer["Body"], headers)


def put(control: Any, bucket: str, key: str, body: BinaryIO, headers: wire.Headers) -> str:  # noqa: ANN401 - the same
    """PUT from a file that can seek; the answer is the ETag."""
    body.seek(0)
    return wire.bare(control.put_object(Bucket=bucket, Key=key, Body=body, **parameters(headers))["ETag"])


def read(body: Any, size: int, in_memory: int) -> tuple[BinaryIO, str]:  # noqa: ANN401 - botocore's stream
    """All bytes of an answer, in a file if they are many; and their MD5 as Content-MD5 has it."""
    spool: Any = tempfile.TemporaryFile() if size > in_memory else io.BytesIO()  # noqa: SIM115 - the caller closes it
    hasher = hashlib.md5(usedforsecurity=False)
    with body:
        while block := body.read(_BLOCK):
            hasher.update(block)
            spool.write(block)
    if spool.tell() != size:
        raise TransientError(f"{spool.tell()} bytes came of {size}")
    spool.seek(0)
    return cast("BinaryIO", spool), base64.b64encode(hasher.digest()).decode()


def parameters(headers: wire.Headers) -> dict[str, Any]:
    """The same headers as boto3's arguments."""
    named = {_PARAMETERS[name]: value for name, value in headers if name in _PARAMETERS}
    metadata = {name.removeprefix(wire.METADATA): value for name, value in headers if name.startswith(wire.METADATA)}
    return {**named, "Metadata": metadata} if metadata else named


def size(body: BinaryIO) -> int:
    """Bytes in a file that can seek."""
    return body.seek(0, os.SEEK_END)
