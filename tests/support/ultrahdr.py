"""Files with gain maps, as phones write them: with an index, a directory, and secrets wherever there is room."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from support.jpegs import XMP, after_soi, exif, picture, segment
from support.traps import canary

HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ISO = b"urn:iso:std:iso:ts:21496:-1\x00"
NUMBERS = {
    "GainMapMin": "-0.5",
    "GainMapMax": "2.321928",
    "Gamma": "1.0",
    "OffsetSDR": "0.015625",
    "OffsetHDR": "1.5625e-2",
    "HDRCapacityMin": "0",
    "HDRCapacityMax": "2.3",
    "BaseRenditionIsHDR": "False",
}


def packet(spaces: str, attributes: str, elements: str = "") -> bytes:
    """An XMP segment with a packet wrapper, padding, and names of people and tools."""
    text = (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" '
        f'x:xmptk="{canary("tool").decode()}"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="{canary("about").decode()}"'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="{canary("creator").decode()}" {spaces} {attributes}>'
        f'{elements}</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 50}<?xpacket end="w"?>'
    )
    return segment(0xE1, XMP + text.encode())


def hdrgm(
    numbers: dict[str, str] | None = None, elements: str = "", version: str = "1.0", prefix: str = "hdrgm"
) -> bytes:
    """The XMP segment of a gain map; `elements` for what is one number per channel."""
    attributes = " ".join(f'{prefix}:{name}="{value}"' for name, value in (NUMBERS | (numbers or {})).items())
    return packet(f'xmlns:{prefix}="{HDRGM}"', f'{prefix}:Version="{version}" {attributes}', elements)


def per_channel(name: str, *values: str) -> str:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<hdrgm:{name}>\n <rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"


def directory(length: int, *, padding: int = 0, before: tuple[int, ...] = ()) -> bytes:
    """The XMP segment of a primary picture; other pictures may come before the gain map."""
    spaces = (
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        f'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:hdrgm="{HDRGM}"'
    )
    items = [f'Item:Semantic="Primary" Item:Mime="image/jpeg" Item:Padding="{padding}"']
    items += [f'Item:Semantic="Preview" Item:Mime="image/jpeg" Item:Length="{size}"' for size in before]
    items += [f'Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="{length}"']
    listed = "".join(f'<rdf:li rdf:parseType="Resource"><Container:Item {item}/></rdf:li>' for item in items)
    return packet(
        spaces, 'hdrgm:Version="1.0"', f"<Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory>"
    )


def iso(channels: int = 1, *, common: bool = False, rest: bytes = b"") -> bytes:
    """The ISO 21496-1 segment of a gain map; `rest` behind its numbers."""
    flags = (0x80 if channels == 3 else 0) | 0x40 | (0x08 if common else 0)
    fractions = [(0, 100), (230, 100)] + [(-50, 100), (230, 100), (100, 100), (1, 64), (1, 64)] * channels
    numbers = struct.pack(">I", 100) + b"".join(struct.pack(">i", n) for n, _ in fractions) if common else b""
    numbers = numbers or b"".join(struct.pack(">iI", n, d) for n, d in fractions)
    return segment(0xE2, ISO + bytes(4) + bytes((flags,)) + numbers + rest)


def index(places: list[tuple[int, int]], at: int, order: str = "<") -> bytes:
    """An MPF segment at `at` for pictures of (begin, size) in the file; the first begins at 0."""
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", 8)
    tags = struct.pack(f"{order}HHHI4s", 3, 0xB000, 7, 4, b"0100") + struct.pack(
        f"{order}HHII", 0xB001, 4, 1, len(places)
    )
    tags += struct.pack(f"{order}HHIII", 0xB002, 7, 16 * len(places), 50, 0)
    for number, (begin, size) in enumerate(places):
        offset = begin - (at + 8) if number else 0
        tags += struct.pack(f"{order}IIIHH", 0 if number else 0x030000, size, offset, 0, 0)
    return segment(0xE2, b"MPF\x00" + head + tags)


def index_bytes(pictures: int) -> int:
    return len(index([(8, 0)] * pictures, 0))


@dataclass(frozen=True)
class UltraHdr:
    """A file and its two pictures as they are without any metadata."""

    primary: bytes = field(default_factory=picture)
    gain_map: bytes = field(default_factory=lambda: picture("L", (24, 24)))
    orientation: int = 1
    map_segments: bytes = field(default_factory=hdrgm)
    primary_segments: bytes = b""
    with_directory: bool = True
    with_index: bool = True
    before: tuple[bytes, ...] = ()
    """Pictures between both."""
    padding: bytes = b""
    trailer: bytes = b""

    def file(self) -> bytes:
        """Whole, with secrets in EXIF and in comments of both."""
        second = after_soi(self.gain_map, exif(3, canary("gain-map")), self.map_segments, segment(0xFE, canary("map")))
        head = exif(self.orientation, canary("camera")) + segment(0xFE, canary("com")) + self.primary_segments
        if self.with_directory:
            sizes = tuple(map(len, self.before))
            head += directory(len(second), padding=len(self.padding), before=sizes)
        tail = [*self.before, second]
        at = 2 + len(head)
        primary_bytes = len(self.primary) + len(head) + (index_bytes(1 + len(tail)) if self.with_index else 0)
        places, begin = [(0, primary_bytes)], primary_bytes + len(self.padding)
        for one in tail:
            places.append((begin, len(one)))
            begin += len(one)
        if self.with_index:
            head += index(places, at)
        return after_soi(self.primary, head) + self.padding + b"".join(tail) + self.trailer


def apple() -> bytes:
    """A gain map whose numbers are in the camera's maker note, and its XMP says no more than that it is one."""
    text = 'HDRGainMap:HDRGainMapVersion="131072"'
    own = packet('xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/"', text)
    return UltraHdr(map_segments=own, with_directory=False).file()


def second_begins(result: bytes) -> int:
    """Where the index of a result says that its second picture begins."""
    at = result.index(b"MPF\x00MM\x00*") + 4
    return at + int.from_bytes(result[at + 74 : at + 78])
