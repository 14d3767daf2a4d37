"""Pages of ListObjectsV2 as any server might render them: fields in any order, more of them or fewer."""

from __future__ import annotations

import random
from datetime import datetime
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from bucketops_jobs.s3.store import Object, Page

QUOTES = ('"', "&quot;", "&#34;")
EXTRAS = (
    "<Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner>",
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>",
    "<ChecksumType>FULL_OBJECT</ChecksumType>",
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>",
)


def stamp(modified: datetime) -> str:
    return modified.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Style:
    """One server's way, drawn by chance."""

    def __init__(self, seed: int, *, encoded: bool = True, even: bool = False) -> None:
        self._chance = random.Random(seed)
        self._encoded = encoded
        self._quote = self._chance.choice(QUOTES)
        self._space = self._chance.choice(("", "\n  "))
        self._encode = self._chance.choice((quote_plus, quote, lambda key: quote(key, safe="")))
        self._order = self._chance.sample(range(9), 9)
        self._uneven = self._chance.random() < 0.3 and not even
        """Not all objects have the same extras."""
        self._extras = [self._chance.random() < 0.5 for _ in EXTRAS]

    def render(self, page: Page) -> bytes:
        parts = [
            f"<KeyCount>{len(page.objects)}</KeyCount>" if self._chance.random() < 0.7 else "",
            f"<IsTruncated>{'true' if page.token else 'false'}</IsTruncated>",
            f"<NextContinuationToken>{escape(page.token)}</NextContinuationToken>" if page.token else "",
            "<EncodingType>url</EncodingType>" if self._encoded else "<EncodingType></EncodingType>",
            self._space.join(map(self._object, page.objects)),
        ]
        self._chance.shuffle(parts)
        root = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}{self._space.join(parts)}</ListBucketResult>\n'.encode()

    def _object(self, entry: Object) -> str:
        key = self._encode(entry.key) if self._encoded else escape(entry.key, {'"': "&#34;", "\r": "&#13;"})
        fields = [
            f"<Key>{key}</Key>",
            f"<LastModified>{stamp(entry.modified)}</LastModified>",
            f"<ETag>{self._quote}{entry.etag}{self._quote}</ETag>",
            f"<Size>{entry.size}</Size>",
            f"<StorageClass>{entry.storage_class}</StorageClass>" if self._classed(entry) else "",
            *(extra if self._has(chosen) else "" for extra, chosen in zip(EXTRAS, self._extras, strict=True)),
        ]
        return f"<Contents>{self._space}{self._space.join(fields[n] for n in self._order)}</Contents>"

    def _classed(self, entry: Object) -> bool:
        return entry.storage_class != "STANDARD" or not self._uneven or self._chance.random() < 0.5

    def _has(self, chosen: bool) -> bool:
        return self._chance.random() < 0.5 if self._uneven else chosen
