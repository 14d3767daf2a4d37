"""Names that read alike and are not the same bytes, and objects that are no upload: neither costs a deployment."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs.retention.context import Context
from bucketops_jobs.retention.names import matching
from bucketops_jobs.retention.references import named
from bucketops_jobs.retention.rules import plan
from bucketops_jobs.retention.survey import Count, _scope
from bucketops_jobs.s3.store import Object
from support.deployments import NOW, folder, gone, spec

TYPED = unicodedata.normalize("NFC", "déploy-é")
UPLOADED = unicodedata.normalize("NFD", "déploy-é")
BOTH_WAYS = [(TYPED, UPLOADED), (UPLOADED, TYPED)]
"""A name in a spec, and the same name in the bucket: macOS uploads the longer one."""


def test_they_are_not_the_same_bytes() -> None:
    assert TYPED != UPLOADED


@pytest.mark.parametrize(("written", "there"), BOTH_WAYS)
@pytest.mark.parametrize("glob", ["{}", "{}*", "*{}", "web/{}"])
def test_a_name_is_kept_however_its_letters_are_composed(written: str, there: str, glob: str) -> None:
    folders = [folder("now", 1), folder(f"web/{there}", 90), folder("web/old", 80)]
    rules = spec(keep={"last": 1, "names": [glob.format(written)]}, folders={"depth": 2})
    assert gone(plan(folders, rules, NOW)) == {"web/old"}


@pytest.mark.parametrize(("written", "there"), BOTH_WAYS)
def test_a_name_is_in_scope_or_not_however_its_letters_are_composed(written: str, there: str) -> None:
    def within(**folders: Any) -> bool:
        context: Any = SimpleNamespace(spec=spec(folders=folders))
        return _scope(cast("Context", context))(there)

    assert not within(exclude=[written])
    assert within(include=[written])
    assert not within(include=["other"])


@pytest.mark.parametrize(("written", "there"), BOTH_WAYS)
def test_a_marker_is_one_however_its_letters_are_composed(written: str, there: str) -> None:
    rules = spec(keep={"last": 1, "markerKey": written}, folders={"age": "marker", "markerKey": written})
    count = Count("d", rules)
    count.add(Object(f"d/{there}", "etag", 1, NOW - timedelta(days=50)))
    found = count.folder()
    assert found is not None
    assert (found.pinned, found.marker) == (True, NOW - timedelta(days=50))


@given(st.text(min_size=1, max_size=12).filter(lambda text: not set(text) & set("*?[]/")))
def test_every_name_matches_itself_in_each_form(name: str) -> None:
    for written in ("NFC", "NFD"):
        for there in ("NFC", "NFD"):
            assert matching([unicodedata.normalize(written, name)])(unicodedata.normalize(there, name))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "/my+app+%C3%A9&1/index.html then old",
        '<meta http-equiv="refresh" content="0; url=/my app é&amp;1/"> then old',
        "<a href='/my%20app%20é&#38;1/'>old</a>",
        "/my+app+é&#x26;1/ old",
    ],
)
def test_a_page_or_a_query_names_its_folder_as_such_texts_write_it(text: str) -> None:
    """Else the run goes on, since another folder is named too, and the live one is deleted."""
    assert named(["my app é&1", "old", "older"], text) == {"my app é&1", "old"}


def test_a_folder_that_somebody_creates_in_a_console_makes_no_deployment_newer() -> None:
    """`d/` of 0 bytes is put again by whoever clicks "Create folder"; the newest real one would go for it."""
    rules = spec(keep={"last": 1})
    counted = {}
    for path, days in (("old", 90.0), ("live", 40.0)):
        count = Count(path, rules)
        count.add(Object(f"{path}/index.html", "etag", 10, NOW - timedelta(days=days)))
        count.add(Object(f"{path}/img/", "etag", 0, NOW - timedelta(days=days)))
        if path == "old":
            count.add(Object("old/", "etag", 0, NOW - timedelta(days=2)))
        counted[path] = count.folder()
    folders = [found for found in counted.values() if found]
    assert folders[0].last == NOW - timedelta(days=90)
    assert folders[0].newest == NOW - timedelta(days=2)
    assert gone(plan(folders, rules, NOW)) == {"old"}


def test_a_file_without_content_still_dates_its_deployment() -> None:
    count = Count("d", spec())
    count.add(Object("d/index.html", "etag", 10, NOW - timedelta(days=9)))
    count.add(Object("d/.nojekyll", "etag", 0, NOW - timedelta(days=8)))
    found = count.folder()
    assert found is not None
    assert found.last == NOW - timedelta(days=8)
