"""What a worker pod asks for and gets at most: typed amounts, so that a typing error never takes a limit away."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from bucketops_api.v1alpha1.common import Model
from bucketops_api.v1alpha1.scalars import Check, Schema

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_CPU_PATTERN = r"([1-9][0-9]{0,5}m?|[0-9]{1,3}[.][0-9]{0,2}[1-9])"
_BYTES_PATTERN = r"([1-9][0-9]{0,14}|[0-9]{1,6}[.][0-9]{0,2}[1-9])(k|M|G|T|Ki|Mi|Gi|Ti)?"


def parse_amount(value: int | str) -> Decimal:
    """Return the number that a Kubernetes quantity such as 500m, 0.5 or 512Mi stands for.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(value)).groups()  # type: ignore[union-attr]
    return Decimal(number) / 1000 if unit == "m" else Decimal(number) * _UNITS[unit]


def _amount(pattern: str, message: str, length: int) -> tuple[Check, Schema]:
    """An integer or a quantity above 0; Kubernetes reads a limit of 0 as none."""
    compiled = re.compile(pattern)
    return (
        Check(
            f"type(self) == int ? self >= 1 : self.matches(r'^{pattern}$')",
            message,
            lambda value: compiled.fullmatch(str(value)) is not None,
        ),
        Schema((("x-kubernetes-int-or-string", True), ("maxLength", length))),
    )


Cpu = Annotated[int | str, *_amount(_CPU_PATTERN, "write a number of CPUs above 0, such as 500m or 2", 16)]
Bytes = Annotated[int | str, *_amount(_BYTES_PATTERN, "write a size above 0, such as 512Mi or 2Gi", 32)]


class ResourceList(Model):
    """An amount of each resource."""

    cpu: Cpu | None = None
    memory: Bytes | None = None
    ephemeral_storage: Bytes | None = Field(None, alias="ephemeral-storage", description="Of /tmp and the log.")

    def amounts(self) -> dict[str, int | str]:
        """Return what is given, by Kubernetes' name of the resource."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Resources(Model):
    """What a worker pod asks for, and gets at most. What is not given stays as the operator sets it."""

    requests: ResourceList = Field(default_factory=ResourceList)
    limits: ResourceList = Field(default_factory=ResourceList)

    @model_validator(mode="after")
    def _require_requests_within_limits(self) -> Resources:
        limits = self.limits.amounts()
        for name, asked in self.requests.amounts().items():
            if name in limits and parse_amount(asked) > parse_amount(limits[name]):
                raise ValueError(f"requests.{name} is more than limits.{name}: raise the limit, or lower the request")
        return self
