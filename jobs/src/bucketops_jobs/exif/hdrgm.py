"""The numbers of a gain map as XMP, and the primary picture's directory: both written anew, from a list of names.

https://developer.android.com/media/platform/hdr-image-format (Ultra HDR v1.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bucketops_jobs.exif.xmp import CONTAINER, HDRGM, ITEM, RDF, SIGNATURE

PER_CHANNEL = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR")
SINGLE = ("HDRCapacityMin", "HDRCapacityMax")
_REQUIRED = {"GainMapMax", "HDRCapacityMax"}
_VERSION = "1.0"
_NUMBER = re.compile(r"[-+]?(?:\d{1,20}\.?\d{0,40}|\.\d{1,40})(?:[eE][-+]?\d{1,3})?", re.ASCII)
_LARGEST = 999_999
_DIGITS = 9
"""Behind the point: more than a float has."""


@dataclass(frozen=True)
class Numbers:
    """All that a viewer needs: by name, one value or one per channel."""

    values: Mapping[str, Sequence[float]]
    base_is_hdr: bool


def numbers(properties: Mapping[str, Sequence[str]]) -> Numbers | None:
    """What the gain map's properties say; None unless all of it can be understood."""
    if properties.get("Version") != [_VERSION] or not properties.keys() >= _REQUIRED:
        return None
    found = {name: _values(name, properties[name]) for name in (*PER_CHANNEL, *SINGLE) if name in properties}
    base = properties.get("BaseRenditionIsHDR", ["False"])
    if not all(found.values()) or min(found.get("Gamma", [1])) <= 0 or base not in (["False"], ["True"]):
        return None
    return Numbers(found, base_is_hdr=base == ["True"])


def _values(name: str, texts: Sequence[str]) -> list[float]:
    """Empty unless there are as many as there must be, and all are numbers."""
    known = [value for text in texts if (value := _number(text)) is not None]
    wanted = (1, 3) if name in PER_CHANNEL else (1,)
    return known if len(known) == len(texts) and len(known) in wanted else []


def _number(text: str) -> float | None:
    value = round(float(text), _DIGITS) + 0.0 if _NUMBER.fullmatch(text.strip()) else None
    return value if value is not None and abs(value) <= _LARGEST else None


def of_gain_map(found: Numbers) -> bytes:
    """The payload of the gain map's XMP segment."""
    attributes, elements = "", ""
    for name, values in found.values.items():
        if len(values) == 1:
            attributes += f' hdrgm:{name}="{_text(values[0])}"'
        else:
            items = "".join(f"<rdf:li>{_text(value)}</rdf:li>" for value in values)
            elements += f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"
    attributes += f' hdrgm:BaseRenditionIsHDR="{found.base_is_hdr}"'
    return _packet(f' xmlns:hdrgm="{HDRGM}" hdrgm:Version="{_VERSION}"{attributes}', elements)


def of_primary(gain_map_bytes: int) -> bytes:
    """The payload of the primary picture's XMP segment: it has a gain map of so many bytes right behind it."""
    spaces = f' xmlns:Container="{CONTAINER}" xmlns:Item="{ITEM}" xmlns:hdrgm="{HDRGM}" hdrgm:Version="{_VERSION}"'
    items = _item('Item:Semantic="Primary" Item:Mime="image/jpeg"') + _item(
        f'Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="{gain_map_bytes}"'
    )
    return _packet(spaces, f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>")


def _item(attributes: str) -> str:
    return f'<rdf:li rdf:parseType="Resource"><Container:Item {attributes}/></rdf:li>'


def _packet(attributes: str, elements: str) -> bytes:
    description = f'<rdf:Description rdf:about=""{attributes}>{elements}</rdf:Description>'
    return SIGNATURE + (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{description}</rdf:RDF></x:xmpmeta>'
    ).encode("ascii")


def _text(value: float) -> str:
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
