"""How the requests of one bucket are signed: for the region, and over the blanks, that its server turns out to want.

Both are learned from what it refuses. What a server tells decides no host: AWS's own rules do, from the region.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from bucketops_jobs.s3 import misplaced, signing, wire
from bucketops_jobs.s3.signing import Credentials, Identity
from bucketops_jobs.s3.wire import Headers, Place, Request, Response

REFUSED_SIGNATURE = "SignatureDoesNotMatch"


class Proof(NamedTuple):
    """How one request was signed."""

    who: Credentials
    region: str
    fold: int
    """Which of signing.FOLDS."""


class Signer:
    """Signs for one bucket; what it learns is for all its requests. Used by any thread, changed by the loop's alone.

    `elsewhere`: where the requests go if the bucket turns out to be in another region; None where the region is
    certain, for the user has named it.
    """

    def __init__(
        self, where: Place, region: str, identity: Identity, elsewhere: Callable[[str], Place] | None = None
    ) -> None:
        self.where, self.region, self.identity = where, region, identity
        self._elsewhere = elsewhere
        self._fold = 0
        """What the server was last seen to do."""
        self.believed: Credentials | None = None
        """Whose last request was answered well."""

    @property
    def certain(self) -> bool:
        """Whether the region is known to be the right one."""
        return self._elsewhere is None or self.believed is not None

    def signed(self, request: Request, host: str) -> Headers:
        """All headers of a request to a host, in the name of who calls here; what expires is refreshed."""
        return self._headers(request, host, self._proof())

    def head(self, request: Request, through: str = "", before: Proof | None = None) -> tuple[bytes, Proof]:
        """A request's head as it goes over a connection, and how it was signed; WorkerError where it cannot be.

        `before`: how the server refused it.
        """
        proof = self._proof()
        if before is not None and (before.who, before.region) == (proof.who, proof.region):
            proof = Proof(proof.who, proof.region, _next(before.fold))
        return wire.serialized(request, self._headers(request, self.where.host, proof), through), proof

    def _proof(self) -> Proof:
        return Proof(self.identity(), self.region, self._fold)

    def _headers(self, request: Request, host: str, proof: Proof) -> Headers:
        return signing.sign(request, host, proof.who, proof.region, time.time(), fold=signing.FOLDS[proof.fold])

    def replaced(self, proof: Proof) -> bool:
        """Whether somebody else calls here by now."""
        return self.identity() != proof.who

    def accepted(self, request: Request, proof: Proof) -> None:
        """The server has taken a request."""
        self.believed = proof.who
        if proof.fold != self._fold and signing.ambiguous(request.headers):
            self._fold = proof.fold

    def another_way(self, request: Request, proof: Proof, answer: Response) -> bool:
        """Whether a refused request may succeed if it is signed anew: for another region, or over other blanks."""
        if proof.region != self.region:
            return True  # another answer has told it meanwhile
        named = misplaced.region(answer)
        if named and named != self.region and self._elsewhere is not None:
            self.where, self.region = self._elsewhere(named), named
            return True
        left = _next(proof.fold) != self._fold
        return left and wire.error_of(answer.body)[0] == REFUSED_SIGNATURE and signing.ambiguous(request.headers)


def _next(fold: int) -> int:
    return (fold + 1) % len(signing.FOLDS)
