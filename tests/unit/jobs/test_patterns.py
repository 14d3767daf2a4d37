"""What strangers, servers and workers send is read in one pass: no text of theirs keeps a process busy for hours.

Regular expressions that can match in many ways take the square or the cube of a text's length to say no, and no other
thread runs meanwhile. Each of these texts took minutes or hours; the limit is of another order than what they take now.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMIT = 30  # seconds of a process that needs a fraction of one

TEXTS = {
    "blanks of a header field": (
        "from bucketops_jobs.pipeline.webhook_request import parse",
        r"parse(b'POST / HTTP/1.1\r\na:' + b' \t' * 7000 + b'\x01')",
    ),
    "names of a header field": (
        "from bucketops_jobs.pipeline.webhook_request import parse",
        r"parse(b'POST / HTTP/1.1\r\n' + b'a' * 16000)",
    ),
    "elements without an end": (
        "from bucketops_jobs.s3.wire import error_of",
        "error_of(b'<Code><Message>' * 70_000)",
    ),
    "ETags without an end": (
        "from bucketops_jobs.s3.wire import Response, copied_etag",
        "copied_etag(Response(200, (), b'<ETag>' * 1_400_000))",
    ),
    "hosts of an endpoint": (
        "from bucketops_jobs.s3.misplaced import region; from bucketops_jobs.s3.wire import Response",
        "[region(Response(301, (), b'<Endpoint>' * n + b's3-aa-1' * 140_000)) for n in (1, 9999)]",
    ),
    "scopes of a credential": (
        "from bucketops_jobs.s3.misplaced import expected",
        "expected('AuthorizationHeaderMalformed', 'expected: ' + '/a' * 500_000)",
    ),
    "addresses of a message": (
        "from bucketops_api.masking import Mask",
        "Mask().text('a.' * 500_000); Mask().text('a:/' * 300_000); Mask().text('password ' * 100_000)",
    ),
    "escapes of a reference": (
        "from bucketops_jobs.retention.references import named",
        r"named(['a'], '\\' * 1_000_001); named(['a'], '\\u' * 500_000)",
    ),
    "a page of objects": (
        "from bucketops_jobs.s3.pages import parse",
        "parse(b'<Contents>' * 100_000); parse(b'<Contents><Key>a</Key>' * 100_000)",
    ),
    "metrics of a worker": (
        "from bucketops_operator.scrape import parse",
        r"""parse('a{b="' + '\\' * 65_000 + '"} 1\n'); parse('a' + '{' * 65_000)""",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_somebody_elses_is_read_in_one_pass(name: str) -> None:
    """In a process of its own, for no thread could end it."""
    imports, statements = TEXTS[name]
    tries = "\n".join(
        f"try: {statement}\nexcept Exception as error: print(type(error).__name__)"
        for statement in statements.split("; ")
    )
    subprocess.run([sys.executable, "-c", f"{imports}\n{tries}"], check=True, timeout=LIMIT, capture_output=True)
