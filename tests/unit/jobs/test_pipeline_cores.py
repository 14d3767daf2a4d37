"""ExifPipeline's pure cores: what events say, what is decided, what waits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_api import counts
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_jobs.pipeline import marks
from bucketops_jobs.pipeline.decide import Act, Marked, Rules, Seen, decide, removable
from bucketops_jobs.pipeline.inbox import Inbox
from bucketops_jobs.pipeline.latency import Recent
from bucketops_jobs.pipeline.marks import Mark
from bucketops_jobs.pipeline.notices import NoticeError, read, share
from bucketops_jobs.s3.store import ABSENT, Expect, Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules("1-keep", "1-keep-max", overwrite=False)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def record(key: str, name: str = "ObjectCreated:Put", bucket: str = "a") -> dict[str, Any]:
    where = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"eventName": name, "eventTime": "2026-01-01T00:00:00.000Z", "s3": where}


@given(KEYS)
def test_a_key_is_decoded_as_its_sender_encodes_it(key: str) -> None:
    escaped = read(json.dumps({"Records": [record(quote_plus(key))]}))
    plain = read(json.dumps({"Records": [record(key)]}), escaped=False)
    bridge = {"detail-type": "Object Created", "detail": {"bucket": {"name": "a"}, "object": {"key": key}}}
    assert [notice.key for notice in (*escaped, *plain, *read(json.dumps(bridge)))] == [key] * 3


def test_every_record_of_an_event_counts_and_those_in_sns_too() -> None:
    body = {"Records": [record("1.jpg"), record("2.jpg", "s3:ObjectRemoved:Delete"), record("3.jpg", bucket="b")]}
    wrapped = {"Type": "Notification", "Message": json.dumps(body)}
    found = read(json.dumps(wrapped))
    assert [(n.bucket, n.key, n.removed) for n in found] == [
        ("a", "1.jpg", False), ("a", "2.jpg", True), ("b", "3.jpg", False),
    ]  # fmt: skip
    assert found[0].at == NOW


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "x" * 10_000, 7, None])
def test_a_time_that_is_none_is_not_known(when: object) -> None:
    (found,) = read(json.dumps({"Records": [record("k") | {"eventTime": when}]}))
    assert found.at is None or found.at.timestamp()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["Records", "s3", "bucket", "name", "object", "key", "eventName", "eventTime", "detail",
                         "detail-type", "Type", "Message", "Event", "time"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.booleans())
def test_any_json_is_notices_or_an_error_of_that_message(message: object, escaped: bool) -> None:
    """What comes out can be hashed, shared out and measured: nothing that a sender writes ends a pod."""
    try:
        found = read(json.dumps(message), escaped=escaped)
    except NoticeError:
        return
    for notice in found:
        assert 0 <= share(notice.key, 3) < 3
        assert notice.at is None or notice.at.timestamp()


def test_the_test_event_says_nothing() -> None:
    assert read('{"Service": "Amazon S3", "Event": "s3:TestEvent"}') == []


NONSENSE = [
    "{", "[]", "1", "{}", '{"Records": [1]}', '{"Records": [{}]}', '{"detail-type": 1, "detail": 2}',
    "[" * 100_000, '{"a":' * 100_000, "9" * 10_000, '{"Type": "Notification", "Message": 1}',
    json.dumps({"Type": "Notification", "Message": json.dumps({"Type": "Notification", "Message": "{}"})}),
    json.dumps({"Type": "Notification", "Message": "[" * 100_000}),
    json.dumps({"Records": [record("\ud800")]}), json.dumps({"Records": [record("k" * 1025)]}),
    json.dumps({"Records": [record("")]}), json.dumps({"Records": [record({"a": 1})]}),  # type: ignore[arg-type]
    json.dumps({"x" * 100_000: 1}), json.dumps({"\ud800": 1}),
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(NoticeError) as caught:
        read(text, escaped=False)
    assert len(ascii(str(caught.value))) < 500
    str(caught.value).encode()
    with pytest.raises(NoticeError):
        read(text)


@given(KEYS, st.integers(1, 50))
def test_each_key_belongs_to_one_replica(key: str, replicas: int) -> None:
    assert 0 <= share(key, replicas) < replicas
    assert share(key, replicas) == share(key, replicas)


def test_keys_are_spread_evenly() -> None:
    found = [share(f"{number}.jpg", 4) for number in range(4000)]
    assert all(900 < found.count(replica) < 1100 for replica in range(4))


def an_object(etag: str) -> Object:
    return Object("a.jpg", etag, 1, NOW)


def made(source: str, rules: str = RULES.strip, pipeline: str = "default/pictures") -> Marked:
    return Marked(an_object("b"), Mark(source, rules, pipeline))


@pytest.mark.parametrize(
    ("seen", "act", "expect"),
    [
        (Seen(None, made("x")), Act.GONE, None),
        (Seen(an_object("x")), Act.CLEAN, ABSENT),
        (Seen(an_object("x"), made("x")), Act.NOTHING, None),
        (Seen(an_object("y"), made("x")), Act.CLEAN, Expect(etag="b")),
        (Seen(an_object("x"), made("x", "0-keep")), Act.CLEAN, Expect(etag="b")),
        (Seen(an_object("x"), Marked(an_object("b"), None)), Act.CONFLICT, None),
        (Seen(an_object("x"), None, made("x", RULES.refusal)), Act.REFUSED, None),
        (Seen(an_object("y"), None, made("x", RULES.refusal)), Act.CLEAN, ABSENT),
        (Seen(an_object("y"), made("x"), made("y", RULES.refusal)), Act.REFUSED, None),
        (Seen(an_object("x"), made("x"), made("x", RULES.refusal)), Act.NOTHING, None),
    ],
)
def test_what_is_done_follows_from_the_three_places(seen: Seen, act: Act, expect: Expect | None) -> None:
    found = decide(seen, RULES)
    assert found.act is act
    if expect is not None:
        assert found.expect == expect


def test_what_no_pipeline_made_is_overwritten_when_asked_alone() -> None:
    seen = Seen(an_object("x"), Marked(an_object("b"), None))
    assert decide(seen, Rules(RULES.strip, RULES.refusal, overwrite=True)).act is Act.CLEAN


def test_only_this_pipelines_pictures_without_a_source_may_go() -> None:
    assert removable(Seen(None, made("x")), "default/pictures")
    assert not removable(Seen(None, made("x")), "default/others")
    assert not removable(Seen(None, Marked(an_object("b"), None)), "default/pictures")
    assert not removable(Seen(an_object("x"), made("x")), "default/pictures")
    assert not removable(Seen(None), "default/pictures")


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = Mark("etag", "rules", "team/pictures")
    given_headers = {"content-type": "image/jpeg", "x-amz-meta-album": "summer"}
    assert marks.read(given_headers | mark.headers()) == mark
    assert marks.read(given_headers) is None
    assert marks.without(given_headers | mark.headers()) == given_headers


def test_each_choice_of_the_look_has_a_mark_of_its_own() -> None:
    spec = {"source": {"bucket": "aaa"}, "destination": {"bucket": "bbb"}, "onNotJpeg": "Skip"}
    looks = [
        {"orientation": orientation, "iccProfile": icc, "hdrGainMap": hdr}
        for orientation in ("Keep", "Drop", "Rotate")
        for icc in ("Keep", "Drop")
        for hdr in ("Keep", "Drop")
    ]
    rules = [marks.strip_rules(PipelineSpec.model_validate(spec | {"strip": look})) for look in looks]
    assert len(set(rules)) == len(looks)
    assert marks.strip_rules(PipelineSpec.model_validate(spec)) == "1-orientation.keep-icc.keep", "old marks stay valid"


def test_a_key_is_never_twice_in_hand_and_an_event_in_between_is_not_lost() -> None:
    inbox = Inbox()
    inbox.tell("a", 0, 0)
    inbox.tell("a", 1, 1)
    first = inbox.take(2)
    assert first is not None
    assert inbox.take(2) is None
    inbox.tell("a", 3, 3)
    assert inbox.take(3) is None
    inbox.end(first, settled=True)
    again = inbox.take(4)
    assert again is not None
    inbox.end(again, settled=True)
    assert inbox.pending == 0


def test_a_full_inbox_takes_no_more_and_says_so() -> None:
    inbox = Inbox(2)
    assert inbox.tell("a", 0, 0)
    assert inbox.tell("b", 0, 0)
    assert not inbox.tell("c", 0, 0)
    assert inbox.tell("a", 0, 0)
    assert not inbox.roomy
    assert inbox.take(0)
    assert inbox.roomy


def test_what_is_put_back_waits_and_keeps_its_age_and_who_told_of_it() -> None:
    told: list[bool] = []
    inbox = Inbox()
    inbox.tell("a", 0, 0, lambda *, settled: told.append(settled))
    item = inbox.take(1)
    assert item is not None
    inbox.again(item, due=10)
    assert inbox.take(5) is None
    assert inbox.oldest(5) == 5
    item = inbox.take(11)
    assert item is not None
    assert item.attempt == 1
    inbox.end(item, settled=True)
    assert told == [True]


def test_what_is_abandoned_is_told_to_be_so() -> None:
    told: list[bool] = []
    inbox = Inbox()
    inbox.tell("a", 0, 0, lambda *, settled: told.append(settled))
    assert inbox.abandon() == 1
    assert told == [False]
    assert inbox.pending == 0


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=100))
def test_quantiles_are_at_most_a_quarter_too_high_and_add_up_over_pods(milliseconds: list[int]) -> None:
    pods = Recent(), Recent()
    for number, each in enumerate(milliseconds):
        pods[number % 2].add(0, each / 1000)
    whole = counts.add(dict(pods[0].counts(1)), dict(pods[1].counts(1)))
    exact = sorted(milliseconds)[-(-len(milliseconds) // 2) - 1]
    assert exact <= counts.quantile(whole, 0.5) <= max(10, exact * 1.3)
    assert not pods[0].counts(1000)


def test_a_count_of_now_travels_as_a_gauge() -> None:
    for name in (counts.LISTENING, counts.OLDEST_PENDING, f"{counts.LATENCY}250"):
        assert counts.from_metric(*counts.to_metric(name)) == name
