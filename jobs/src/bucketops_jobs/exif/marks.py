"""What a header says of gain maps, looked at before it is thrown away."""

from __future__ import annotations

from bucketops_jobs.exif import hdrgm, iso21496, mpf, xmp

_MOST_PLACES = 16


class Marks:
    """Of a primary picture: where its gain map may begin. Of a gain map: its numbers, in one form or in both."""

    def __init__(self) -> None:
        self.numbers: hdrgm.Numbers | None = None
        self.iso: bytes | None = None
        self._seen = False
        self._offsets: list[int] = []
        self._items: list[dict[str, str]] = []

    def look(self, kind: str, payload: bytes, end: int) -> None:
        """`kind` as metadata.py has it, `end`: where in the source the segment ends."""
        if kind == "mpf":
            begin = end - len(payload) + len(mpf.SIGNATURE)
            self._seen = True
            self._offsets = [begin + offset for offset in mpf.offsets(payload[len(mpf.SIGNATURE) :])]
        elif kind == "gain_map":
            self._seen = True
            self.iso = iso21496.rebuilt(payload) or self.iso
        elif kind == "xmp" and xmp.HDRGM.encode() in payload:
            properties = xmp.read(payload)
            self._seen = True
            self._items = properties.items
            self.numbers = hdrgm.numbers(properties.gain_map) or self.numbers

    @property
    def of_gain_map(self) -> bool:
        """Whether there are numbers, without which no viewer could use a gain map."""
        return self.numbers is not None or self.iso is not None

    def places(self, end: int) -> list[int]:
        """Where the gain map may begin, in order; the primary picture ends at `end`."""
        if not self._seen:
            return []
        places = {end, *self._offsets, *self._of_items(end)}
        return sorted(place for place in places if place >= end)[:_MOST_PLACES]

    def _of_items(self, end: int) -> list[int]:
        """The directory's pictures follow one another; a primary's length is its own, and padding may follow it."""
        places = []
        for number, item in enumerate(self._items[:_MOST_PLACES]):
            places.append(end)
            end += _size(item.get("Padding")) + (_size(item.get("Length")) if number else 0)
        return places[1:]


def _size(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 12 else 0  # noqa: PLR2004 - digits
