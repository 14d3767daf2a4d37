"""What `bucketops strip` says of a file, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bucketops_jobs.exif.verdict import Amounts, Verdict


@dataclass(frozen=True)
class Outcome:
    """What became of one file. Without a verdict it could not be read or written, and `error` says why."""

    file: Path
    output: Path | None = None
    verdict: Verdict | None = None
    error: str = ""

    def json(self) -> str:
        """One line for programs."""
        if self.verdict is None:
            return json.dumps(self._head(clean=False, reason="NotDone", message=self.error))
        return json.dumps(
            self._head(self.verdict.clean, self.verdict.refusal or "", self.verdict.message) | self._found()
        )

    def _head(self, clean: bool, reason: str, message: str) -> dict[str, Any]:
        return {"file": str(self.file), "clean": clean, "reason": reason, "message": message}

    def _found(self) -> dict[str, Any]:
        verdict = self.verdict
        if verdict is None:
            return {}
        return {
            "output": str(self.output or ""),
            "sourceBytes": verdict.source_bytes,
            "cleanBytes": verdict.clean_bytes,
            "orientation": verdict.report.orientation,
            "rotated": verdict.report.rotated,
            "codedCrc32": f"{verdict.coded_crc32:08x}",
            "removed": _amounts(verdict.report.removed),
            "kept": _amounts(verdict.report.kept),
            "losses": sorted(verdict.report.losses),
        }

    def sentence(self) -> str:
        """One line for people; what could play tricks on a terminal is escaped."""
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in f"{self.file}: {self._told()}")

    def _told(self) -> str:
        verdict = self.verdict
        if verdict is None:
            return f"not done: {self.error}"
        if not verdict.clean:
            return f"refused, {verdict.refusal}: {verdict.message}"
        removed, kept = _listed(verdict.report.removed), _listed(verdict.report.kept)
        losses = f"; note: {', '.join(sorted(verdict.report.losses))}" if verdict.report.losses else ""
        rotated = "; rotated" if verdict.report.rotated else ""
        size = f"{verdict.source_bytes} -> {verdict.clean_bytes} bytes"
        return f"clean, {size}; removed {removed}; kept {kept}{rotated}{losses}"


def _amounts(amounts: Amounts) -> dict[str, dict[str, int]]:
    return {kind: {"count": amount.count, "bytes": amount.bytes} for kind, amount in sorted(amounts.items())}


def _listed(amounts: Amounts) -> str:
    return ", ".join(f"{kind} {amount.bytes}" for kind, amount in sorted(amounts.items())) or "nothing"
