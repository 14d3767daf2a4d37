"""The answer of ListObjectsV2 -> Page. Pure, and fast: a listing of millions of keys lives on it.

A regular expression learned from the first object of the page reads them all: servers differ in the order of the
fields and in what they add. First one of its very text but for the values, then one that lets other fields stand
between. The count must be that of the page; where it is not, a real XML parser decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from urllib.parse import unquote_plus

from bucketops_jobs.errors import OddAnswerError, ShardError
from bucketops_jobs.s3 import dates, documents
from bucketops_jobs.s3.store import Object, Page

_ROOT = "ListBucketResult"
_QUOTE = '(?:&quot;|&#34;|")?+'
_VALUES = {
    "Key": "([^<]*+)",
    "LastModified": "([^<]*+)",
    "ETag": f'{_QUOTE}([^<&"]*+){_QUOTE}',
    "Size": "([^<]*+)",
    "StorageClass": "([^<]*+)",
}
"""What is read of an object. Python's `re` is three times as fast with `[^<]` as with `[^<&]`."""
_VALUE = re.compile(f"(<(?:Key|LastModified|Size|StorageClass)>)[^<]*|(<ETag>{_QUOTE})[^<]*?(?={_QUOTE}</ETag>)")
_FIELD = re.compile(f"<({'|'.join(_VALUES)})>")
_NEEDED = ("Key", "ETag", "Size", "LastModified")
_COUNT = re.compile(r"<KeyCount>([^<]*)</KeyCount>")
_TRUNCATED = re.compile(r"<IsTruncated>(true|false)</IsTruncated>")
_TOKEN = re.compile(r"<NextContinuationToken>([^<&]+)</NextContinuationToken>")
Columns = Sequence[Sequence[str]]
"""Of all objects the keys (as they stand in the page), the ETags, sizes, times and storage classes."""
LOST = "\ufffd"
"""Servers without encoding-type=url write it for what XML cannot hold (versitygw: control characters)."""
_NONE: Columns = ((), (), (), (), ())
_LONGEST = 500
"""Characters of a message."""
_OBJECT = partial(tuple.__new__, Object)
"""What Object._make does, without its Python code: half the time."""


def parse(body: bytes) -> Page:
    """One page; OddAnswerError when it is not what it says of itself, ShardError for a key whose bytes are lost."""
    try:
        return quick(body) or thorough(body)
    except (ValueError, KeyError) as error:
        raise _odd(f"the answer is no listing, or not a whole one: {error}") from error


def quick(body: bytes) -> Page | None:
    """By regular expression; None when the page is not as regular as that needs, or not whole."""
    text = body.decode(errors="replace")
    columns, truncated, token = _columns(text), _TRUNCATED.search(text), _TOKEN.search(text)
    if columns is None or truncated is None or not text.rstrip().endswith(f"</{_ROOT}>") or LOST in text:
        return None
    said = _COUNT.search(text)
    if (said and said[1] != str(len(columns[0]))) or (truncated[1] == "true") != (token is not None):
        return None
    objects = _objects(columns, encoded="<EncodingType>url</EncodingType>" in text)
    return Page(objects, token[1] if token else None)


def thorough(body: bytes) -> Page:
    """By the XML parser."""
    found = documents.read(body)
    fields, rows = found.fields, [_row(row) for row in found.rows.get("Contents", ())]
    truncated, token = fields.get("IsTruncated"), fields.get("NextContinuationToken")
    if found.root != _ROOT or truncated not in ("true", "false") or "Contents" in fields:
        raise _odd(f"the answer is no listing, but {found.root}: {body[:200]!r}")
    if len(rows) != int(fields.get("KeyCount") or len(rows)):
        raise _odd(f"a page that says to have {fields['KeyCount'][:20]} keys (KeyCount) has {len(rows)}")
    if truncated == "true" and not token:
        raise _odd("the listing goes on (IsTruncated) and has no token to go on with")
    columns = list(zip(*rows, strict=True)) or _NONE
    return Page(_objects(columns, encoded=fields.get("EncodingType") == "url"), token if truncated == "true" else None)


def _columns(text: str) -> Columns | None:
    """The objects of a page; None when the first one does not show how to read all the others.

    A match takes one `<Contents>` or more, and none is taken twice: as many matches as there are take one each.
    """
    start, end = text.find("<Contents>"), text.find("</Contents>")
    if start < 0:
        return _NONE
    first = text[start : end + len("</Contents>")]
    names = tuple(_FIELD.findall(first))
    if len(set(names)) != len(names) or any(f"<{name}>" in text for name in _VALUES if name not in names):
        return None
    if not set(_NEEDED) <= set(names):
        return None
    between = tuple(_VALUE.sub("\\1\\2\0", first).split("\0"))
    return _ordered(names, _rows(text, _twin(between), _pattern(names)))


def _rows(text: str, *patterns: re.Pattern[str]) -> list[tuple[str, ...]]:
    """By the first pattern that reads all objects."""
    wanted = text.count("<Contents>")
    return next((rows for pattern in patterns if len(rows := pattern.findall(text)) == wanted), [])


def _ordered(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> Columns | None:
    """The columns; None where a value is none that could be read without an XML parser."""
    found = dict(zip(names, zip(*rows, strict=True), strict=bool(rows)))
    if not rows or not _plain(found):
        return None
    return [*(found[name] for name in _NEEDED), found.get("StorageClass") or ("STANDARD",) * len(rows)]


def _plain(found: Mapping[str, Sequence[str]]) -> bool:
    entities = any("&" in "".join(values) for values in found.values())
    etags, sizes, classes = "".join(found["ETag"]), "".join(found["Size"]), found.get("StorageClass", ())
    return not entities and '"' not in etags and sizes.isdecimal() and "" not in classes and "" not in found["Size"]


@lru_cache(maxsize=16)
def _twin(between: tuple[str, ...]) -> re.Pattern[str]:
    """Of an object with this text around its values: what comes from one server mostly has the same."""
    return re.compile("([^<]*)".join(map(re.escape, between)))


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Of one object whose fields stand in this order, with others that are not read between them.

    Possessive throughout, and never beyond the object: a page that does not match costs no more than one that does.
    """
    fields = (f"{_skip(name)}<{name}>{_VALUES[name]}</{name}>" for name in names)
    return re.compile(f"<Contents>{''.join(fields)}{_skip('/Contents')}</Contents>")


def _skip(name: str) -> str:
    """What stands before the tag `name`."""
    return f"[^<]*+(?:<(?!{name}>|/Contents>)[^<]*+)*+"


def _objects(columns: Columns, *, encoded: bool) -> list[Object]:
    keys, etags, sizes, times, classes = columns
    whole = "".join(keys)
    if encoded and ("%" in whole or "+" in whole):
        keys = [_decoded(key) if "%" in key or "+" in key else key for key in keys]
    elif not encoded and LOST in whole:
        raise hidden(next(n for n, key in enumerate(keys) if LOST in key), keys)
    rows = zip(keys, etags, map(int, sizes), dates.listed(times), classes, strict=True)
    return list(map(_OBJECT, rows))


def _odd(why: str) -> OddAnswerError:
    return OddAnswerError(why[:_LONGEST], ShardError(why[:_LONGEST]))


def hidden(number: int, keys: Sequence[str]) -> ShardError:
    """What it means that a key of a page (by its number there) is shown by another name than it has."""
    behind = f", behind {keys[number - 1]!r}," if number else ", the first of its page,"
    return ShardError(
        f"{keys[number]!a}{behind} stands for a key that this server cannot show in a listing, since it has a control "
        "character, U+FFFD, U+FFFE or U+FFFF in it: rename or delete that object where the server keeps it (versitygw: "
        "the file of that name in the bucket's folder), then set a new trigger"
    )


def _decoded(key: str) -> str:
    """A space may stand as `+`: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise ShardError(f"the key {key} (percent-encoded) is not UTF-8, as S3 asks: rename or delete it") from error


def _row(fields: Mapping[str, str]) -> tuple[str, ...]:
    key, etag, size, modified = (fields[name] for name in _NEEDED)
    return key, etag.strip('"'), size, modified, fields.get("StorageClass") or "STANDARD"
