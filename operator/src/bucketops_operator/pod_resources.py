"""What a worker pod asks for and gets at most: the defaults, and what a resource says instead, amount by amount."""

from __future__ import annotations

from typing import Any

from bucketops_api.v1alpha1.resources import Resources, parse_amount

Amounts = dict[str, int | str]

_REQUESTS: Amounts = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"}
_LIMITS: Amounts = {"memory": "512Mi"}


def resources(scratch: str, *given: Resources) -> dict[str, Any]:
    """Return a container's resources, always with limits of memory and storage; `scratch` is the default of the latter.

    Each of `given` is laid over what came before it. A request above a limit that it does not set raises that limit; a
    limit below a request that it does not set lowers that request.
    """
    requests, limits = _REQUESTS, _LIMITS | {"ephemeral-storage": scratch}
    for changes in given:
        requests, limits = _laid_over(requests, limits, changes)
    return {"requests": requests, "limits": limits}


def _laid_over(requests: Amounts, limits: Amounts, changes: Resources) -> tuple[Amounts, Amounts]:
    asked, most = changes.requests.amounts(), changes.limits.amounts()
    raised = {name: max(limits[name], amount, key=parse_amount) for name, amount in asked.items() if name in limits}
    limits = limits | raised | most
    return {name: _within(amount, limits.get(name)) for name, amount in (requests | asked).items()}, limits


def _within(amount: int | str, limit: int | str | None) -> int | str:
    return amount if limit is None else min(amount, limit, key=parse_amount)
