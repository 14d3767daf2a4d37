"""The statistics: medians with quartiles, and ratios of what ran in the same round. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{short(self.median)} [{short(self.low)}-{short(self.high)}]"


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, the observed values taken as the whole population; ValueError without values."""
    if not values:
        raise ValueError("no values: nothing was measured")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread:
    """The ratio ours/theirs within each round that has both, and the median of those.

    Two programs that ran one after the other shared the machine's mood; those of different rounds did not.
    """
    return spread([ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys())])


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rotated(items: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: each is first in turn, so that none always follows the same neighbour."""
    shift = number % len(items)
    turned = [*items[shift:], *items[:shift]]
    return turned if (number // len(items)) % 2 == 0 else turned[::-1]
