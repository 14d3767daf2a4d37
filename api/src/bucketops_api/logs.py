"""Log lines of operator and workers: JSON in pods, text for people; libraries speak from warnings on."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

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


class Formatter(logging.Formatter):
    """One line per record, with the fields of `extra` beside the message."""

    def __init__(self, *, text: bool) -> None:
        super().__init__()
        self._text = text

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; a traceback is a field in JSON, and follows the line in text."""
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._text:
            fields = "".join(f" {key}={value}" for key, value in extra.items())
            line = f"{when} {record.levelname:<7} {record.getMessage()}{fields}"
            return f"{line}\n{trace}" if trace else line
        head = {"time": when, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        return json.dumps(head | extra | ({"trace": trace} if trace else {}), default=str, ensure_ascii=False)
