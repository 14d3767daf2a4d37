"""How a flat prefix is listed by several streams at once: which stream asks for what next. Pure; no clock, no thread.

The parts tile the range: each begins where the one before it ends, whatever is cut, so every key belongs to one part.
A part is cut beyond what it has shown, at a guess; the new part's first page tells whether the guess was good. An
empty part costs one request and has taught us that nothing is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bucketops_jobs.s3 import keyspace
from bucketops_jobs.s3.listing import going_on, up_to
from bucketops_jobs.s3.store import Object, Page

HELD = 4
"""Pages of one part that wait for an ordered consumer."""
WORTH = 2.0
"""A part is cut when it is likely to have this many pages yet."""
_TIMID = 4
_SAMPLES = 20
"""Keys of a page by which the alphabet is learned."""
_MISSES = 2
"""After so many empty halves, the depth is halved instead."""


@dataclass(eq=False, slots=True)
class Part:
    """Keys after `after` (exclusive) up to `until` (inclusive), and how far we are."""

    after: str
    until: str | None
    token: str | None = None
    first: str | None = None
    """The first key shown."""
    last: str = ""
    """The last key shown."""
    page: tuple[str, str] | None = None
    """The first and the last key of its last page, or of a page before it: how dense the keys are."""
    pages: int = 0
    hollow: set[str] = field(default_factory=set)
    """Tokens of the pages since the last key, all of which showed nothing."""
    running: bool = False
    done: bool = False
    misses: int = 0
    waiting: deque[list[Object]] = field(default_factory=deque)
    """Pages that the consumer has not taken."""


class Partition:
    """The parts of a range, in order."""

    def __init__(self, prefix: str, after: str, until: str | None, bounds: Sequence[str], *, ordered: bool) -> None:
        self.prefix = prefix
        self._ordered = ordered
        self._letters = ""
        self._bold = _TIMID
        """Guesses near an ordered consumer that may be open: one more for each that was right, half for each wrong."""
        inner = [bound for bound in sorted(set(bounds)) if bound > after and (until is None or bound < until)]
        edges = [after, *inner]
        self.parts = [Part(one, other) for one, other in zip(edges, [*inner, until], strict=True)]

    @property
    def waiting(self) -> int:
        """Pages that are held or on their way."""
        return sum(len(part.waiting) + part.running for part in self.parts)

    def next_part(self, streams: int) -> Part | None:
        """What a free stream lists next; None when there is nothing for it now. It is running from now on."""
        if self.waiting >= HELD * streams and not self._starving():
            return None
        part = next((part for part in self.parts if self._wants(part)), None) or self._cut()
        if part is not None:
            part.running = True
        return part

    def arrived(self, part: Part, page: Page) -> int:
        """Take a page of a running part, checked by the caller; answers how many keys of it are the part's."""
        objects, guess = up_to(page.objects, part.until), part.pages == 0
        part.running, part.token = False, page.token
        if page.objects:
            part.hollow.clear()
        elif page.token is not None:
            part.hollow.add(page.token)
        part.done = page.token is None or not going_on(page, part.until)
        if objects:
            if guess:
                self._met(part)
            part.first = part.first or objects[0].key
            part.last = objects[-1].key
            part.page = objects[0].key, objects[-1].key
            part.pages += 1
            part.waiting.append(objects)
            self._learn(objects)
        elif part.done and part.first is None:
            self._missed(part)
        return len(objects)

    def unite(self) -> None:
        """Parts that nobody has begun become one with those before them."""
        kept = [self.parts[0]]
        for part in self.parts[1:]:
            if part.pages or part.running or part.done or kept[-1].done:
                kept.append(part)
            else:
                kept[-1].until = part.until
        self.parts = kept

    def take(self) -> list[Object] | None:
        """A page for the consumer: the next one in order, or any; None when there is none yet."""
        part = next((part for part in self._takeable() if part.waiting), None)
        if part is None:
            return None
        objects = part.waiting.popleft()
        self._forget()
        return objects

    @property
    def over(self) -> bool:
        """Whether every key was shown and taken."""
        return all(map(_finished, self.parts))

    def require_complete(self, after: str, until: str | None) -> None:
        """That the parts cover the range, each key once: AssertionError if not."""
        edges = [part.after for part in self.parts], [part.until for part in self.parts]
        if edges[0][0] != after or edges[1][-1] != until or edges[0][1:] != edges[1][:-1] or not self.over:
            raise AssertionError(f"the ranges of a listing do not cover it: {list(zip(*edges, strict=True))}")

    def _takeable(self) -> Iterator[Part]:
        for part in self.parts:
            yield part
            if self._ordered and not part.done:
                return

    def _forget(self) -> None:
        """Neighbours that are done and taken become one part: there are never many more parts than streams."""
        kept = [self.parts[0]]
        for part in self.parts[1:]:
            if _finished(part) and _finished(kept[-1]) and kept[-1].until == part.after:
                kept[-1].until = part.until
            else:
                kept.append(part)
        self.parts = kept

    def _starving(self) -> bool:
        """Whether the consumer can go on only if the first unfinished part is asked for more."""
        head = next((part for part in self.parts if not _finished(part)), None)
        return self._ordered and head is not None and not head.running and not head.waiting

    def _wants(self, part: Part) -> bool:
        return not part.running and not part.done and not (self._ordered and len(part.waiting) >= HELD)

    def _cut(self) -> Part | None:
        """A new part, cut off where it helps most: next to the consumer, or where most is left."""
        open_guesses = sum(part.running and part.pages == 0 for part in self.parts)
        if self._ordered and open_guesses >= self._bold:
            return None
        worth = [(self._pages_left(part), n) for n, part in enumerate(self.parts) if not part.done]
        worth = [(left, n) for left, n in worth if left >= (HELD if self._ordered else WORTH)]
        for _, number in worth if self._ordered else sorted(worth, reverse=True):
            cut = self._guess(self.parts[number])
            if cut is not None:
                return self._split(number, cut)
        return None

    def _split(self, number: int, cut: str) -> Part:
        left = self.parts[number]
        right = Part(cut, left.until, page=left.page)
        left.until = cut
        self.parts.insert(number + 1, right)
        return right

    def _guess(self, part: Part) -> str | None:
        """A consumer that wants order needs the next few pages by several streams, any other one half of the rest."""
        at, high = max(part.last, part.after, self.prefix), keyspace.ceiling(self.prefix, part.until)
        if part.misses >= _MISSES and part.first:
            cut = keyspace.shallower(part.first, part.last, high)
        elif self._ordered and part.page:
            cut = keyspace.beyond(part.page, HELD, at, high, self._letters)
        else:
            cut = None
        return cut or keyspace.middle(at, high, self._letters)

    def _pages_left(self, part: Part) -> float:
        """A guess by how dense the keys were so far; 0 where nothing is known."""
        at, high = max(part.last, part.after, self.prefix), keyspace.ceiling(self.prefix, part.until)
        if self._ordered:
            return keyspace.rest(part.page, at, high, self._letters) if part.page else 0
        return keyspace.rest((part.first, part.last), at, high, self._letters) * part.pages if part.first else 0

    def _met(self, guessed: Part) -> None:
        """Keys are there: where it was cut from, halves are good guesses (again)."""
        self._bold += 1
        self._left_of(guessed).misses = 0

    def _missed(self, guessed: Part) -> None:
        """Nothing is there: where it was cut from has become narrower, and remembers how often."""
        self._bold = max(_TIMID, self._bold // 2)
        self._left_of(guessed).misses += 1

    def _left_of(self, part: Part) -> Part:
        return self.parts[max(0, self.parts.index(part) - 1)]

    def _learn(self, objects: Sequence[Object]) -> None:
        step = max(1, len(objects) // _SAMPLES)
        shown = keyspace.alphabet((entry.key for entry in objects[::step]), self.prefix)
        if not set(shown) <= set(self._letters):
            self._letters = "".join(sorted({*shown, *self._letters}))


def _finished(part: Part) -> bool:
    return part.done and not part.waiting
