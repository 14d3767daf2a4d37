"""What stands in the user metadata of what we wrote: from which content it was made, by which rules, by whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_api.v1alpha1.scalars import parse_quantity
from bucketops_jobs.s3.wire import METADATA

STRIPPER = 1
"""Raise it when the stripper's results change: every picture is made anew then."""
_SOURCE_ETAG = f"{METADATA}bucketops-source-etag"
_RULES = f"{METADATA}bucketops-strip"
_PIPELINE = f"{METADATA}bucketops-pipeline"
_BYTES = f"{METADATA}bucketops-bytes"
_MD5 = f"{METADATA}bucketops-md5"


_OURS = frozenset({_SOURCE_ETAG, _RULES, _PIPELINE, _BYTES, _MD5})


@dataclass(frozen=True)
class Mark:
    """`rules` says how the result was made; the same source by the same rules is the same result."""

    source_etag: str
    rules: str
    pipeline: str
    """`<namespace>/<name>` of the resource."""
    bytes: str = ""
    """How many were written; empty on what an older version wrote, and on refusals."""

    md5: str = ""
    """Of what was written, in hexadecimal; empty where `bytes` is, and on what the version before this one wrote."""

    def fits(self, size: int, md5: str = "") -> bool:
        """Whether the object is what was written, by its size and its MD5 (empty where the server shows none)."""
        return self.bytes in {"", str(size)} and (not (self.md5 and md5) or self.md5 == md5)

    def headers(self) -> dict[str, str]:
        """As a PUT has them."""
        written = {_BYTES: self.bytes, _MD5: self.md5}
        known = {name: value for name, value in written.items() if value}
        return {_SOURCE_ETAG: self.source_etag, _RULES: self.rules, _PIPELINE: self.pipeline, **known}


def read(headers: Mapping[str, str]) -> Mark | None:
    """The mark of an object; None on one that no pipeline made."""
    if _SOURCE_ETAG not in headers or _RULES not in headers:
        return None
    more = (headers.get(name, "") for name in (_PIPELINE, _BYTES, _MD5))
    return Mark(headers[_SOURCE_ETAG], headers[_RULES], *more)


def without(headers: Mapping[str, str]) -> dict[str, str]:
    """The user's own headers: a picture may have been taken from a destination and uploaded again."""
    return {name: value for name, value in headers.items() if name not in _OURS}


def strip_rules(spec: PipelineSpec) -> str:
    """Of clean pictures. What is as it was before there was a choice is not named: old marks stay valid."""
    hdr = "" if spec.strip.hdr_gain_map == "Drop" else f"-hdr.{spec.strip.hdr_gain_map}"
    return f"{STRIPPER}-orientation.{spec.strip.orientation}-icc.{spec.strip.icc_profile}{hdr}".lower()


def refusal_rules(spec: PipelineSpec) -> str:
    """Of refusals: a picture that was too large is tried again when the limit changes."""
    return f"{strip_rules(spec)}-max.{parse_quantity(spec.limits.max_object_bytes)}"
