"""Of the check of a result: what may be there of a gain map, in both pictures, and what it must say.

As verify.py, it shares nothing with the code that writes these segments. Each has one form, in which only numbers vary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RDF = (
    rb'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www\.w3\.org/1999/02/22-rdf-syntax-ns#">'
    rb'<rdf:Description rdf:about=""'
)
_END = rb"</rdf:Description></rdf:RDF></x:xmpmeta>"
_XMP = rb"http://ns\.adobe\.com/xap/1\.0/\x00" + _RDF
_HDRGM = rb' xmlns:hdrgm="http://ns\.adobe\.com/hdr-gain-map/1\.0/" hdrgm:Version="1\.0"'
_NUMBER = rb"-?\d{1,6}(?:\.\d{1,9})?"
_ITEM = rb'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="%b" Item:Mime="image/jpeg"%b/></rdf:li>'
_PER_CHANNEL = (b"GainMapMin", b"GainMapMax", b"Gamma", b"OffsetSDR", b"OffsetHDR")
_SCALARS = (*_PER_CHANNEL, b"HDRCapacityMin", b"HDRCapacityMax")
_URN = rb"urn:iso:std:iso:ts:21496:-1\x00\x00\x00\x00\x00"

_PRIMARY_XMP = re.compile(
    _XMP
    + rb' xmlns:Container="http://ns\.google\.com/photos/1\.0/container/"'
    + rb' xmlns:Item="http://ns\.google\.com/photos/1\.0/container/item/"'
    + _HDRGM
    + rb"><Container:Directory><rdf:Seq>"
    + _ITEM % (b"Primary", b"")
    + _ITEM % (b"GainMap", rb' Item:Length="(?P<length>[1-9]\d{0,9})"')
    + rb"</rdf:Seq></Container:Directory>"
    + _END
)
_MAP_XMP = re.compile(
    _XMP
    + _HDRGM
    + b"".join(rb'(?: hdrgm:%b="%b")?' % (name, _NUMBER) for name in _SCALARS)
    + rb' hdrgm:BaseRenditionIsHDR="(?:True|False)">'
    + b"".join(
        rb"(?:<hdrgm:%b><rdf:Seq>(?:<rdf:li>%b</rdf:li>){3}</rdf:Seq></hdrgm:%b>)?" % (name, _NUMBER, name)
        for name in _PER_CHANNEL
    )
    + _END
)
_PRIMARY_ISO = re.compile(_URN)
_MAP_ISO = re.compile(
    _URN + rb"(?:[\x00\x04\x40\x44].{56}|[\x08\x0c\x48\x4c].{32}|[\x80\x84\xc0\xc4].{136}|[\x88\x8c\xc8\xcc].{72})",
    re.DOTALL,
)
_INDEX = re.compile(
    rb"MPF\x00MM\x00\x2a\x00\x00\x00\x08\x00\x03"
    rb"\xb0\x00\x00\x07\x00\x00\x00\x040100"
    rb"\xb0\x01\x00\x04\x00\x00\x00\x01\x00\x00\x00\x02"
    rb"\xb0\x02\x00\x07\x00\x00\x00\x20\x00\x00\x00\x32\x00\x00\x00\x00"
    rb"\x00\x03\x00\x00(?P<first>.{4})\x00{8}"
    rb"\x00{4}(?P<second>.{4})(?P<offset>.{4})\x00{4}",
    re.DOTALL,
)
PRIMARY = ((0xE1, _PRIMARY_XMP), (0xE2, _PRIMARY_ISO), (0xE2, _INDEX))
GAIN_MAP = ((0xE1, _MAP_XMP), (0xE2, _MAP_ISO))
"""Markers and forms in their order; each may be missing."""
Forms = tuple[tuple[int, re.Pattern[bytes]], ...]
Found = dict[re.Pattern[bytes], tuple[re.Match[bytes], int]]
"""What was found of them, and where its payload begins."""


@dataclass(frozen=True)
class Place:
    """Where a picture of the result lies."""

    begin: int
    end: int


def error(primary: Found, first: Place, gain_map: Found, second: Place) -> str:
    """What is wrong about two pictures with these segments at these places; nothing if all is well."""
    if _INDEX not in primary:
        return "a gain map has no index"
    forms = (_PRIMARY_XMP in primary, _PRIMARY_ISO in primary)
    if not any(forms) or forms != (_MAP_XMP in gain_map, _MAP_ISO in gain_map):
        return "the two pictures do not speak of the gain map in the same forms"
    index, at = primary[_INDEX]
    first_bytes, second_bytes, offset = (int.from_bytes(index[name]) for name in ("first", "second", "offset"))
    told = (first_bytes, second_bytes, at + len(b"MPF\0") + offset)
    if told != (first.end - first.begin, second.end - second.begin, second.begin) or first.end != second.begin:
        return "the index is wrong"
    length = int(primary[_PRIMARY_XMP][0]["length"]) if forms[0] else second_bytes
    return "" if length == second_bytes else "the length of the gain map is wrong"
