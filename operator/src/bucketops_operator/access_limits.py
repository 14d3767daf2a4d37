"""What S3Access may grant in which namespace, as the cluster's owner allows it in the chart's values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bucketops_api.v1alpha1.access import AccessSpec


class _Section(BaseModel):
    """A part of the chart's values; a key that is not known is a typing error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=True, frozen=True)


Glob = Annotated[str, Field(min_length=1, max_length=253)]


class AccessAllowance(_Section):
    """Users that S3Access may make in some namespaces, and buckets that it may grant to them; all are globs."""

    namespaces: Annotated[list[Glob], Field(min_length=1)]
    buckets: Annotated[list[Glob], Field(min_length=1)]
    users: Annotated[list[Glob], Field(min_length=1)]


class Access(_Section):
    """What S3Access may grant."""

    allow: Annotated[
        list[AccessAllowance], Field(description="A grant needs one entry that fits its namespace, user and bucket.")
    ]
    permissions_boundary: Annotated[
        str,
        Field(
            pattern=r"^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[\x21-\x7e]+)?$",
            description="The managed policy that bounds every user made on AWS. Empty: what the resource says.",
        ),
    ]


EVERYTHING = Access(allow=[AccessAllowance(namespaces=["*"], buckets=["*"], users=["*"])], permissions_boundary="")


def bounded(spec: AccessSpec, limits: Access) -> AccessSpec:
    """Return the spec with the permissions boundary that the cluster's owner wants, whatever the spec says."""
    if spec.provider != "AWS" or not limits.permissions_boundary:
        return spec
    return spec.model_copy(update={"permissions_boundary": limits.permissions_boundary})


def refusal(namespace: str, spec: AccessSpec, limits: Access) -> str:
    """Return what is not allowed in a namespace; empty where everything is."""
    entries = [entry for entry in limits.allow if _fits(namespace, entry.namespaces) and _fits(spec.user, entry.users)]
    if not entries:
        return f"user {spec.user} is not allowed in namespace {namespace}: {_ASK}"
    granted = dict.fromkeys(grant.bucket for grant in spec.grants)
    refused = [bucket for bucket in granted if not any(_fits(bucket, entry.buckets) for entry in entries)]
    if refused:
        return f"bucket {', '.join(refused)} is not allowed for user {spec.user} in namespace {namespace}: {_ASK}"
    return ""


_ASK = "choose another, or ask the cluster's owner to allow it in the chart's values (access.allow)"


def _fits(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
