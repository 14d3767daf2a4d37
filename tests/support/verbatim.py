"""An HTTP server on loopback that answers with the very bytes that a test gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from support.loopback import LoopbackServer


class Last(NamedTuple):
    """An answer (or what there is of it) after which the connection is closed."""

    answer: bytes = b""


class VerbatimServer(LoopbackServer):
    """One answer per request, in order of arrival; then it says nothing, for ever."""

    def __init__(self, answers: Iterable[bytes | Last]) -> None:
        self._answers = iter(answers)
        self.requests: list[bytes] = []

    async def answer(self, request: bytes) -> tuple[bytes, bool]:
        self.requests.append(request)
        answer = next(self._answers, None)
        if answer is None:
            await asyncio.sleep(1 << 20)
        if isinstance(answer, Last):
            return answer.answer, False
        return answer or b"", True
