"""Whether the operator still sees the world: the liveness probe's own judgement; pure.

A watch can die in silence: the connection stays open and nothing comes any more. So once a minute the operator lists
(by metadata alone) what it watches. What the list shows must have come by the watch within a minute, in that version or
a later one; if not, the watch is dead. While anything runs, status writes and pods keep versions moving, so a dead
watch is noticed within two minutes; while nothing changes, there is nothing to miss. Deletions prove nothing: one that
falls into a reconnect is never shown by a watch, and the resync finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

LIST_SECONDS = 120.0
"""The latest successful list may be so old; an API server that is away longer is worth a restart."""
WATCH_SECONDS = 60.0
"""The watch may be behind the list by so much."""


class Health:
    """What the watch has shown and the lists have shown; times in seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._seen: dict[str, int] = {}
        self._missing: dict[str, tuple[int, float]] = {}
        self._listed = now

    def saw(self, uid: str, version: int) -> None:
        """Note an object that the watch has shown, with its resourceVersion."""
        self._seen[uid] = max(version, self._seen.get(uid, version))
        if uid in self._missing and self._missing[uid][0] <= version:
            del self._missing[uid]

    def saw_end(self, uid: str) -> None:
        """Note that the watch has shown a deletion."""
        self._seen.pop(uid, None)
        self._missing.pop(uid, None)

    def listed(self, versions: Mapping[str, int], now: float) -> None:
        """Note a whole successful list: resourceVersions by uid."""
        self._listed = now
        self._seen = {uid: version for uid, version in self._seen.items() if uid in versions}
        behind = {uid: version for uid, version in versions.items() if self._seen.get(uid, -1) < version}
        self._missing = {uid: self._missing.get(uid, (version, now)) for uid, version in behind.items()}

    def seconds_since_list(self, now: float) -> float:
        """Tell the age of the last successful list."""
        return now - self._listed

    def problems(self, now: float) -> list[str]:
        """Say what is dead; empty when all is well."""
        found = []
        if self.seconds_since_list(now) > LIST_SECONDS:
            found.append(f"nothing could be listed for {self.seconds_since_list(now):.0f} s")
        late = sum(now - since > WATCH_SECONDS for _, since in self._missing.values())
        if late:
            found.append(f"the watch has not shown {late} objects that changed more than {WATCH_SECONDS:.0f} s ago")
        return found
