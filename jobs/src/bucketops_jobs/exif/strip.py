"""The one function that others call."""

from __future__ import annotations

from typing import BinaryIO

from bucketops_jobs.exif import trailer
from bucketops_jobs.exif.reader import Reader
from bucketops_jobs.exif.verdict import Choice, Options, Refusal, RefusedError, Report, Verdict
from bucketops_jobs.exif.verify import NotCleanError, verify
from bucketops_jobs.exif.walk import Walk

DEFAULT = Options()
_SIZE = {Refusal.TOO_LARGE, Refusal.HEADER_TOO_LARGE, Refusal.TOO_MANY_SEGMENTS}


def strip(source: BinaryIO, sink: BinaryIO, options: Options = DEFAULT) -> Verdict:
    """Read a picture from `source` and write it, without metadata, to `sink`.

    `source` is read forward once, from where it stands; only a Samsung panorama without EOI is read a second time, if
    `source` can seek. `sink` is an empty file to write, read, seek and truncate, such as a SpooledTemporaryFile: it
    ends up at its beginning, and empty unless the verdict is clean. Memory is bounded by two blocks and a header's
    tables and profile, whatever the picture holds. Content never raises; OSError of the two files does.
    """
    attempt = _Attempt(source, sink, options)
    try:
        coded_crc32 = attempt.run()
        size = _prove(sink, attempt.report, coded_crc32, options)
    except RefusedError as error:
        _empty(sink)
        return Verdict(error.reason, str(error), attempt.report, attempt.read)
    except BaseException:
        _empty(sink)
        raise
    sink.seek(0)
    return Verdict(None, "", attempt.report, attempt.read, size, coded_crc32)


class _Attempt:
    """The walk, and a second one where a trailer turns out to be taken for a part of the picture."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, options: Options) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._begin = source.tell() if source.seekable() else None
        self.report = Report()
        self.read = 0

    def run(self) -> int:
        reader = Reader(self._source, self._options.max_bytes)
        walk = Walk(reader, self._sink, self._options, self.report, open_end=False)
        try:
            coded_crc32 = walk.run()
            end = reader.position
        except RefusedError as error:
            start = None
            if walk.scanning and error.reason not in _SIZE:
                reader.rest()
                start = trailer.samsung(reader.tail, reader.read)
            if start is None or self._begin is None:
                raise
            return self._again(start, reader.read)
        finally:
            self.read = reader.read
        size, head = reader.rest()
        self.read = reader.read
        start = trailer.samsung(reader.tail, reader.read)
        if start is not None and start < end:
            return self._again(start, reader.read)
        if size:
            self.report.remove(trailer.kind(head, reader.tail), size)
        return coded_crc32

    def _again(self, start: int, size: int) -> int:
        """The picture ends where the trailer begins; EOI is put there."""
        if self._begin is None:
            raise RefusedError(Refusal.TRUNCATED, f"the picture has no EOI before the Samsung trailer, at byte {start}")
        self._source.seek(self._begin)
        _empty(self._sink)
        self.report = Report()
        walk = Walk(
            Reader(self._source, self._options.max_bytes, start), self._sink, self._options, self.report, open_end=True
        )
        coded_crc32 = walk.run()
        self.report.remove("trailer_samsung", size - start)
        return coded_crc32


def _prove(sink: BinaryIO, report: Report, coded_crc32: int, options: Options) -> int:
    """Fail closed: the result must be exactly what the walk says that it wrote. Its bytes."""
    try:
        found = verify(sink)
    except NotCleanError as error:
        raise RefusedError(Refusal.NOT_CLEAN, f"the result did not pass the check: {error}") from error
    wanted = report.orientation if options.orientation is Choice.KEEP else 1
    same = (found.orientation, found.icc, found.coded_crc32) == (wanted, "icc" in report.kept, coded_crc32)
    if not same or (found.icc and options.icc_profile is Choice.DROP):
        raise RefusedError(Refusal.NOT_CLEAN, "the result is not what was written")
    return found.size


def _empty(sink: BinaryIO) -> None:
    sink.seek(0)
    sink.truncate()
