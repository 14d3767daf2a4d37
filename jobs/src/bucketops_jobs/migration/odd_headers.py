"""Properties that not every server keeps: empty values, what is no ASCII, blanks in a row, dates that are none.

They are sent as they came. What a server refuses is left away, and whether it kept the others is looked up: such
objects are few, so that costs nobody else anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

from bucketops_jobs.errors import DeniedError, ItemError, NotFoundError, PreconditionFailedError
from bucketops_jobs.s3.store import TAGGING, Store

T = TypeVar("T")
_TRANSPORT = "aws-chunked"
"""Belongs to a request, not to an object; servers differ in whether they keep it."""
_PLAIN = re.compile("[!-~]+(?: [!-~]+)*")


def odd(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of an object's headers that not every server keeps."""
    return {name: value for name, value in headers.items() if name != TAGGING and not _is_plain(name, value)}


def write(put: Callable[[Mapping[str, str]], T], headers: Mapping[str, str]) -> T:
    """Write with these headers; without the odd ones where the server refuses them."""
    try:
        return put(headers)
    except (DeniedError, NotFoundError, PreconditionFailedError):
        raise
    except ItemError:
        if not (left_away := odd(headers)):
            raise
        return put({name: value for name, value in headers.items() if name not in left_away})


def lacking(store: Store, key: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the odd ones that an object, written with these headers, has not, or has otherwise."""
    sent = odd(headers)
    if not sent:
        return ()
    found = store.describe(key)
    return tuple(sorted(name for name, value in sent.items() if found is None or found.headers.get(name) != value))


def _is_plain(name: str, value: str) -> bool:
    if _PLAIN.fullmatch(value) is None or (name == "content-encoding" and _TRANSPORT in value):
        return False
    if name != "expires":
        return True
    try:
        parsedate_to_datetime(value)
    except ValueError:
        return False
    return True
