"""What a worker pod asks for and gets at most: the defaults, and what a resource says instead, amount by amount."""

from __future__ import annotations

from typing import Any

from bucketops_api.v1alpha1.resources import Resources, parse_amount

Amounts = dict[str, int | str]

_REQUESTS: Amounts = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"}
_LIMITS: Amounts = {"memory": "512Mi"}


def resources(given: Resources, scratch: str) -> dict[str, Any]:
    """Return a container's resources, always with limits of memory and storage; `scratch` is the default of the latter.

    A request above a default limit raises that limit; a limit below a default request lowers that request.
    """
    asked, most = given.requests.amounts(), given.limits.amounts()
    limits = _LIMITS | {"ephemeral-storage": scratch}
    raised = {name: max(limits[name], amount, key=parse_amount) for name, amount in asked.items() if name in limits}
    limits = limits | raised | most
    requests = {name: _within(amount, limits.get(name)) for name, amount in (_REQUESTS | asked).items()}
    return {"requests": requests, "limits": limits}


def _within(amount: int | str, limit: int | str | None) -> int | str:
    return amount if limit is None else min(amount, limit, key=parse_amount)
