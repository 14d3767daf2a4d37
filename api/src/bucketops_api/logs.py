"""Log lines of operator and workers: JSON in pods, text for people; libraries speak from warnings on."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

from bucketops_api.masking import MASK

_QUIET = ("asyncio", "boto3", "botocore", "kopf", "aiohttp", "kubernetes")
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "settings", "k8s_skip", "k8s_ref"}


def setup(form: str) -> None:
    """Send all logging to stderr; `form` is json or text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(text=form == "text"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    sys.excepthook = _uncaught
    threading.excepthook = lambda what: _uncaught(what.exc_type, what.exc_value, what.exc_traceback)


def _uncaught(type_: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Python itself would write the traceback as it is."""
    logging.getLogger(__name__).critical("uncaught", exc_info=(type_, error or type_(), trace))


class Formatter(logging.Formatter):
    """One line per record, with the fields of `extra` beside the message; none holds a secret."""

    def __init__(self, *, text: bool) -> None:
        super().__init__()
        self._text = text

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; a traceback is a field in JSON, and follows the line in text."""
        extra = {key: MASK.tree(value) for key, value in vars(record).items() if key not in _STANDARD}
        message = MASK.text(record.getMessage())
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        trace = MASK.text(self.formatException(record.exc_info)) if record.exc_info else ""
        if self._text:
            fields = "".join(f" {key}={value}" for key, value in extra.items())
            line = f"{when} {record.levelname:<7} {message}{fields}"
            return f"{line}\n{trace}" if trace else line
        head = {"time": when, "level": record.levelname.lower(), "logger": record.name, "message": message}
        return json.dumps(head | extra | ({"trace": trace} if trace else {}), default=str, ensure_ascii=False)
