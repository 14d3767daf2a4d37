"""The one function that others call."""

from __future__ import annotations

from typing import BinaryIO

from bucketops_jobs.exif import gainmap, rotate, trailer
from bucketops_jobs.exif.gainmap import GainMap, empty
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
    tables and profile, whatever the picture holds; rotations have a bound of their own (rotate.py). Content never
    raises; OSError of the two files does, and of a rotation where there is no jpegtran.
    """
    attempt = _Attempt(source, sink, options)
    try:
        coded_crc32 = _finish(sink, attempt.run(), attempt, options)
        size = _prove(sink, attempt, coded_crc32, options)
    except RefusedError as error:
        empty(sink)
        return Verdict(error.reason, str(error), attempt.report, attempt.read)
    except BaseException:
        empty(sink)
        raise
    finally:
        attempt.drop_gain_map()
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
        self.gain_map: GainMap | None = None
        self.read = 0

    def run(self) -> int:
        reader = Reader(self._source, self._options.max_bytes)
        walk = Walk(reader, self._sink, self._options, self.report, open_end=False)
        try:
            coded_crc32 = walk.run()
            end = reader.position
            if self._options.hdr_gain_map is Choice.KEEP:
                self.gain_map = gainmap.take(reader, walk.marks, self._options, self.report)
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
        empty(self._sink)
        self.drop_gain_map()
        self.report = Report()
        walk = Walk(
            Reader(self._source, self._options.max_bytes, start), self._sink, self._options, self.report, open_end=True
        )
        coded_crc32 = walk.run()
        self.report.remove("trailer_samsung", size - start)
        return coded_crc32

    def drop_gain_map(self) -> None:
        """It is not needed any more."""
        if self.gain_map:
            self.gain_map.file.close()
        self.gain_map = None


def _finish(sink: BinaryIO, coded_crc32: int, attempt: _Attempt, options: Options) -> int:
    """What can be done only once the pictures are there: turn them, join them. The CRC-32 of the first."""
    report, gain_map = attempt.report, attempt.gain_map
    if options.orientation is Choice.ROTATE and report.orientation > 1:
        try:
            sums = rotate.turn([sink, *([gain_map.file] if gain_map else [])], report.orientation)
        except rotate.ObstacleError as error:
            report.losses.add(error.obstacle)
        else:
            report.rotated = True
            report.kept.pop("orientation")
            coded_crc32 = sums[0]
            if gain_map:
                gain_map.coded_crc32 = sums[1]
    if gain_map:
        gainmap.join(sink, report, gain_map)
    return coded_crc32


def _prove(sink: BinaryIO, attempt: _Attempt, coded_crc32: int, options: Options) -> int:
    """Fail closed: the result must be exactly what the walk says that it wrote. Its bytes."""
    try:
        found = verify(sink)
    except NotCleanError as error:
        raise RefusedError(Refusal.NOT_CLEAN, f"the result did not pass the check: {error}") from error
    report, gain_map = attempt.report, attempt.gain_map
    wanted = 1 if options.orientation is Choice.DROP or report.rotated else report.orientation
    same = (found.orientation, found.icc, found.coded_crc32) == (wanted, "icc" in report.kept, coded_crc32)
    if found.gain_map_crc32 != (gain_map.coded_crc32 if gain_map else None):
        same = False
    if not same or (found.icc and options.icc_profile is Choice.DROP):
        raise RefusedError(Refusal.NOT_CLEAN, "the result is not what was written")
    return found.size
