"""What S3Access needs of a provider of users; minio_users.py and aws_users.py have it."""

from __future__ import annotations

from typing import Protocol

from bucketops_jobs.access.keys import Key, Pair


class Users(Protocol):
    """One user at one provider. Every call may be repeated; UserError says what has to be changed first."""

    patience: float
    """Seconds that a change may take until every server of the provider knows it."""
    changed: list[str]
    """What had to be changed so far, a sentence each."""

    def claim(self) -> None:
        """Make the user ours, or refuse: one that exists and is not ours is touched only with `adopt`."""

    def settle(self) -> None:
        """Make the user's policies as they should be."""

    def keys(self) -> list[Key]:
        """The user's access keys."""

    def ensure_key(self, pair: Pair | None) -> Pair:
        """See that the pair in the Secret is a key of this user, and answer the pair in force."""

    def rotate(self, pair: Pair | None) -> Pair:
        """A new key beside those that there are; `pair`: the one to take, where the provider lets us choose."""

    def retire(self, key: Key) -> None:
        """Note at the provider when a key retires."""

    def remove_key(self, key: Key) -> None:
        """End a key."""

    def remove(self) -> bool:
        """End the user with its keys and its policy; False where there is none of ours."""
