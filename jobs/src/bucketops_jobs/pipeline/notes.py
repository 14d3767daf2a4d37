"""What could not be made clean: a JSON document under the picture's key, with the reason; never the picture itself.

With `onNotJpeg: Quarantine` it lies where people look, with `Skip` among the records: it is not read again and again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from bucketops_jobs.exif.verdict import Refusal
from bucketops_jobs.pipeline import marks
from bucketops_jobs.pipeline.decide import Marked
from bucketops_jobs.pipeline.marks import Mark
from bucketops_jobs.s3 import listing
from bucketops_jobs.s3.store import Object, Store
from bucketops_jobs.shards import Range


class Notes:
    """One document per refused picture. Keys are relative."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store, self.prefix = store, prefix

    def look(self, key: str) -> Marked | None:
        """What is noted of a picture."""
        found = self.store.describe(self.prefix + key)
        return Marked(found.object, marks.read(found.headers)) if found else None

    def write(self, key: str, bucket: str, source: Object, why: tuple[Refusal, str], mark: Mark) -> None:
        """Say why there is no clean picture; an older document is replaced."""
        reason, message = why
        content = {
            "bucket": bucket,
            "key": source.key,
            "etag": source.etag,
            "bytes": source.size,
            "reason": reason,
            "message": message,
            "rules": mark.rules,
            "pipeline": mark.pipeline,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        body = json.dumps(content, indent=2, ensure_ascii=False).encode()
        self.store.put(self.prefix + key, body, {"content-type": "application/json"} | mark.headers())

    def remove(self, key: str) -> None:
        """The picture is clean by now, or gone."""
        self.store.remove([self.prefix + key])

    def listed(self, within: Range) -> Iterator[tuple[str, Object]]:
        """(relative key, document) of a range, in key order."""
        after = self.prefix + within.after if within.after else ""
        until = self.prefix + within.until if within.until is not None else None
        for page in listing.pages(self.store, self.prefix, after, until):
            for entry in page.objects:
                yield entry.key.removeprefix(self.prefix), entry
