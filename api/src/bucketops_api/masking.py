"""No secret in words: what was read from a Secret is known here, and each text that leaves a process passes here.

Logs, errors of workers, results and errors of the operator do. A mask says whose value stood there: ***PGPASSWORD***.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from bucketops_api import names

SHORTEST, SHORTEST_NAME = 4, 8
"""Characters. A shorter secret is a part of half of all words and guessed in no time; a shorter name is a word."""
_WHOLE_WORD = 8
"""A secret that is shorter is masked where it is a word of its own."""
_LONGEST_WORD = 16
"""What is longer is no word, whatever its key is called."""
_MOST_LINES, _MOST_FORMS, _MOST_PUBLIC = 200, 8192, 1 << 20
_NAMES = frozenset(
    {
        *(names.ACCESS_KEY, "PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE"),
        *("host", "hostaddr", "port", "user", "username", "dbname", "database", "sslmode"),
    }
)
"""Keys whose values name somebody or something: they are hidden as whole words, and not where they are public."""
_SECRET = re.compile(r"pass|secret|token|key|cred|auth|private|salt|ur[il]|dsn", re.IGNORECASE)
"""What keys of secrets are called."""
_USERINFO = re.compile(r"://[^:/?#\s]*:(.+)@", re.DOTALL)
_KEYWORD = re.compile(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]+))", re.IGNORECASE)
_HIDDEN = "***"
_HIDDEN_PATTERN = re.escape(_HIDDEN)
_IS = r"(?:\W{0,3}[:=>]|['\"]\s{0,2},)\W{0,4}(?:b['\"])?"
"""Between a name and its value, in headers, queries, XML, JSON and what Python shows. A blank alone parts words."""
_HEADER = rf"(?:proxy-)?authorization{_IS}"
_SCHEMES = "bearer|basic|digest|negotiate|ntlm|apikey"
_CREDENTIAL = r"(?=[^\s'\",]{0,200}[0-9+/=_])(?!\*\*\*)[^\s'\",]{6,}"
"""What is no word: a message may say `authorization: header malformed`."""
_PATTERNS = (
    (
        re.compile(r"AWS4-HMAC-SHA256(?:,?\s*(?:Credential|SignedHeaders|Signature)=[^\s,'\"]*)+"),
        "AWS4-HMAC-SHA256 ***",
    ),
    (re.compile(rf"({_HEADER}(?:{_SCHEMES}) +)[^\s'\",]+", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(rf"({_HEADER})(?!AWS4-HMAC)((?:[\w-]+ +)?){_CREDENTIAL}", re.IGNORECASE), rf"\1\2{_HIDDEN}"),
    (
        re.compile(
            rf"(x-amz-(?:security-token|signature|credential){_IS})(?!{_HIDDEN_PATTERN})[^\s&'\",;)<]+", re.IGNORECASE
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(signature\W{1,4})[0-9a-f]{64}", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"([?&](?:signature|awsaccesskeyid|token|password|sig)=)[^&\s'\"]+", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,39}://)(?!USER:PASSWORD@)[^\s/@'\"]+@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (_KEYWORD, f"password={_HIDDEN}"),
)
"""What is secret whosever it is: signed headers, presigned queries, passwords in addresses (of proxies, say)."""


class Mask:
    """The values to be hidden, in all forms that they take in texts; safe for threads."""

    def __init__(self) -> None:
        self._forms: dict[str, tuple[str, re.Pattern[str] | None]] = {}
        """By form, what stands in its place; with a pattern where it counts as a whole word alone."""
        self._named: set[str] = set()
        """Forms that only name somebody."""
        self._ordered: tuple[tuple[str, str, re.Pattern[str] | None], ...] = ()
        self._public = ""
        self._seen: set[tuple[str, str]] = set()
        """By key and value, what has been learned: a Secret is read again and again."""
        self._lock = threading.Lock()

    def publish(self, texts: Iterable[str]) -> None:
        """Let these be read by all: a user or a host that is named there, too, is no secret."""
        with self._lock:
            self._public = "\n".join((self._public, *texts))[-_MOST_PUBLIC:]
            for form in [form for form in self._named if form in self._public]:
                self._named.discard(form)
                self._forms.pop(form, None)
            self._order()

    def learn(self, data: Mapping[str, str]) -> None:
        """Hide the values of a Secret by their keys; those that only name something unless it is published, too."""
        for key, value in data.items():
            if (key, value) in self._seen:
                continue
            self._seen.add((key, value))
            secret = key not in _NAMES and _SECRET.search(key) is not None
            if key.startswith(names.GROUP) or (not secret and value in self._public):
                continue
            if secret or (key not in _NAMES and len(value) >= _LONGEST_WORD):
                self._add(key, {form for part in _parts(value) for form in _forms(part)}, shortest=SHORTEST)
            else:
                self._named.add(value)
                self._add(key, {value}, shortest=SHORTEST_NAME, word=True)

    def _add(self, key: str, forms: Iterable[str], *, shortest: int, word: bool = False) -> None:
        with self._lock:
            for form in forms:
                if len(form) >= shortest and form not in self._forms:
                    alone = word or len(form) < _WHOLE_WORD
                    pattern = re.compile(rf"(?<!\w){re.escape(form)}(?!\w)") if alone else None
                    self._forms[form] = (f"***{key}***", pattern)
            while len(self._forms) > _MOST_FORMS:
                self._seen.clear()
                del self._forms[next(iter(self._forms))]
            self._order()

    def _order(self) -> None:
        """The longest first: a value may be a part of another one."""
        known = ((form, *rest) for form, rest in self._forms.items())
        self._ordered = tuple(sorted(known, key=lambda one: -len(one[0])))

    def text(self, text: str) -> str:
        """Return a text without any of them."""
        for form, mask, pattern in self._ordered:
            if form in text:
                text = pattern.sub(lambda _, mask=mask: mask, text) if pattern else text.replace(form, mask)  # type: ignore[misc]
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def tree(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Return a value whose texts, at any depth, are without any of them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.tree(child) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(child) for child in value]
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))


MASK = Mask()
"""That of this process."""


def _parts(value: str) -> Iterator[str]:
    """A value, its lines, and the passwords in it. Certificates are public."""
    if "-----BEGIN CERTIFICATE" in value and "PRIVATE KEY" not in value:
        return
    yield value
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines[:_MOST_LINES] if len(line.strip()) >= _WHOLE_WORD)
    for match in (*_USERINFO.finditer(value), *_KEYWORD.finditer(value)):
        password = next((group for group in match.groups() if group), "")
        yield password
        yield unquote(password)


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as headers, addresses, JSON, XML, Python and base64 have it."""
    yield value
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    yield from (html.escape(value), html.escape(value, quote=False))
    raw = value.encode(errors="surrogateescape")
    yield raw.hex()
    yield from _base64(raw)


def _base64(raw: bytes) -> Iterator[str]:
    """What of a value is the same in the base64 of any text that holds it, at each of three offsets."""
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + raw).decode()
        core = coded[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
        if len(core) >= _WHOLE_WORD:
            yield core
            yield core.translate(str.maketrans("+/", "-_"))
