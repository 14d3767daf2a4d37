"""What a frame says of its picture's shape (T.81, B.2.2), and what it will say once the picture is turned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

_BLOCK = 8
"""Samples per side of a DCT block."""
_COEFFICIENT_BYTES = 2
TRANSPOSING = {5, 6, 7, 8}
"""Orientations whose rows are the columns of the upright picture."""
_NEED_WHOLE_WIDTH, _NEED_WHOLE_HEIGHT = {2, 3, 7, 8}, {3, 4, 6, 7}
"""Orientations whose right or lower edge comes to the left or to the top. A block that is only partly picture has to
be the last one, so that such an edge must be one of whole MCUs."""


class Component(NamedTuple):
    """One colour: its sampling factors and its quantization table."""

    number: int
    across: int
    down: int
    table: int


@dataclass(frozen=True)
class Frame:
    """Width and height are in samples."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[Component, ...]

    @classmethod
    def read(cls, marker: int, payload: bytes) -> Frame:
        """A frame that tables.check has passed."""
        parts = [payload[at : at + 3] for at in range(6, len(payload), 3)]
        components = tuple(Component(number, *divmod(factors, 16), table) for number, factors, table in parts)
        return cls(marker, payload[0], int.from_bytes(payload[1:3]), int.from_bytes(payload[3:5]), components)

    def turned(self, orientation: int) -> Frame:
        """As it must be when the picture of that orientation is upright."""
        if orientation not in TRANSPOSING:
            return self
        components = tuple(one._replace(across=one.down, down=one.across) for one in self.components)
        return replace(self, width=self.height, height=self.width, components=components)

    def is_alike(self, other: Frame) -> bool:
        """Whether both are of the same shape, whatever their coding.

        A single component's sampling factors mean nothing (T.81, A.2.2).
        """
        ours, theirs = self.components, other.components
        same = ours == theirs or (len(ours) == len(theirs) == 1 and ours[0].number == theirs[0].number)
        size = (self.precision, self.width, self.height)
        return same and size == (other.precision, other.width, other.height)

    def can_be_turned(self, orientation: int) -> bool:
        """Whether the edges that move are of whole MCUs."""
        whole_width, whole_height = self.width % self._side(0) == 0, self.height % self._side(1) == 0
        return (whole_width or orientation not in _NEED_WHOLE_WIDTH) and (
            whole_height or orientation not in _NEED_WHOLE_HEIGHT
        )

    def coefficient_bytes(self) -> int:
        """What all coefficients need, padded to whole MCUs; 0 for sampling factors that cannot be."""
        across, down = self._side(0), self._side(1)
        if not across or not down:
            return 0
        mcus = -(-self.width // across) * -(-self.height // down)
        blocks = 1 if len(self.components) == 1 else sum(one.across * one.down for one in self.components)
        return mcus * blocks * _BLOCK * _BLOCK * _COEFFICIENT_BYTES

    def _side(self, axis: int) -> int:
        """Samples of an MCU, across or down."""
        if len(self.components) == 1:
            return _BLOCK
        return _BLOCK * max((one.across, one.down)[axis] for one in self.components)
