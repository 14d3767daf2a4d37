"""ExifPipeline's listeners on a real MinIO: what is heard is clean soon, what is not heard is the sweep's."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from bucketops_api import counts, names
from bucketops_jobs.pipeline import desk, hear_sqs
from bucketops_jobs.pipeline.inbox import Inbox
from bucketops_jobs.pipeline.notices import Notice
from bucketops_operator.local_worker import free_port
from support.avatars import s3_client
from support.chaos import Chaos
from support.pipeline import PipelineLab, photo, stripped, wait
from support.proxy import Hold, Proxy
from support.servers import ADMIN, PASSWORD, start_minio

pytestmark = pytest.mark.slow

KEYS = [f"{number % 5}/{number:03} é+%.jpg" for number in range(40)]


def test_what_arrives_is_clean_soon(pipeline_lab: PipelineLab) -> None:
    with pipeline_lab.listening() as pod:
        pipeline_lab.put_all(KEYS)
        pipeline_lab.put("not.png")
        wait(lambda: pipeline_lab.keys(pipeline_lab.b) == set(KEYS))
        wait(lambda: not pod.now(counts.EVENTS_PENDING))
        assert pod.count("processed") == len(KEYS)
        assert counts.quantile(pod.tally.now(), 0.5) > 0 if pod.tally else False
    for key in KEYS:
        assert pipeline_lab.get(key) == stripped(pipeline_lab.get(key, pipeline_lab.a))


def test_keys_are_shared_among_the_replicas(pipeline_lab: PipelineLab) -> None:
    spec = pipeline_lab.spec(replicas=3)
    root = pipeline_lab.mount("listen", spec, shards=3)
    pods = [pipeline_lab.listen(replica, root, replicas=3) for replica in range(3)]
    pipeline_lab.put_all(KEYS)
    wait(lambda: pipeline_lab.keys(pipeline_lab.b) == set(KEYS))
    wait(lambda: sum(pod.count("processed") for pod in pods) == len(KEYS))
    assert all(pod.count("processed") for pod in pods)


def test_poison_does_not_block_what_comes_after(pipeline_lab: PipelineLab) -> None:
    with pipeline_lab.listening() as pod:
        pipeline_lab.put("bad.jpg", b"no picture")
        pipeline_lab.put("good.jpg")
        wait(lambda: pipeline_lab.keys(pipeline_lab.b) == {"good.jpg"})
        wait(lambda: pod.count("refused") == 1)
        assert pipeline_lab.refusal("bad.jpg")["reason"] == "NotJpeg"
        pipeline_lab.put("bad.jpg")
        wait(lambda: pipeline_lab.keys(pipeline_lab.q) == set())
    assert pipeline_lab.exact()


def test_fifty_overwrites_of_one_key_at_once_end_in_the_latest(pipeline_lab: PipelineLab) -> None:
    with pipeline_lab.listening() as pod:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: pipeline_lab.put("one.jpg", photo(f"version {n}", 8 + n)), range(50)))
        wait(lambda: pod.count("events") and not pod.now(counts.EVENTS_PENDING))
    assert pipeline_lab.exact()


def test_events_lost_doubled_and_out_of_order_are_made_good_by_one_sweep(pipeline_lab: PipelineLab) -> None:
    with Chaos(pipeline_lab.endpoint, random.Random(7)) as chaos:
        pipeline_lab.through = chaos.url
        with pipeline_lab.listening() as pod:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: pipeline_lab.put(KEYS[n % 20], photo(str(n), 8 + n % 30)), range(200)))
            wait(lambda: chaos.lost and chaos.doubled and chaos.moved)
            wait(lambda: pod.count("events") and not pod.now(counts.EVENTS_PENDING))
        pipeline_lab.put("unheard.jpg")
        assert not pipeline_lab.exact()
        pipeline_lab.sweep()
    assert pipeline_lab.exact()


def test_a_stream_that_breaks_off_is_taken_up_again(pipeline_lab: PipelineLab) -> None:
    with Chaos(pipeline_lab.endpoint, random.Random(7), faults=False) as chaos:
        pipeline_lab.through = chaos.url
        with pipeline_lab.listening():
            chaos.cut()
            before = chaos.streams
            wait(lambda: chaos.streams > before)
            time.sleep(0.6)
            pipeline_lab.put("after.jpg")
            wait(lambda: pipeline_lab.keys(pipeline_lab.b) == {"after.jpg"})


def test_a_stream_that_was_lost_is_counted_and_one_that_was_relieved_is_not(pipeline_lab: PipelineLab) -> None:
    """The operator starts a sweep for each: events in between were told to nobody."""
    with Chaos(pipeline_lab.endpoint, random.Random(7), faults=False) as chaos:
        pipeline_lab.through = chaos.url
        with pipeline_lab.listening() as pod:
            before = chaos.streams
            wait(lambda: chaos.streams > before + 2)
            assert pod.count(counts.GAPS) == 0
            chaos.cut()
            wait(lambda: pod.count(counts.GAPS) == 1)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """Room for so many keys in an inbox."""
    monkeypatch.setattr(desk, "Inbox", lambda: Inbox(4))
    return 4


@contextmanager
def held(lab: PipelineLab) -> Iterator[tuple[Hold, dict[str, Any]]]:
    """What is written to the destination waits until it is let; the stream of events does not."""
    hold = Hold(lambda request: request.method == "PUT" and request.bucket == lab.b and request.key.endswith(".jpg"))
    with Proxy(lab.endpoint, hold) as proxy:
        try:
            yield hold, {"destination": lab.place(lab.b) | {"endpoint": proxy.url}, "worker": {"concurrency": 2}}
        finally:
            hold.let(10**6)


def test_events_without_room_are_one_gap_a_burst_which_ends_when_there_is_room(
    pipeline_lab: PipelineLab, narrow: int
) -> None:
    """The operator starts a sweep for it; begun earlier, it would miss what finds no room after it."""
    with held(pipeline_lab) as (hold, changes), pipeline_lab.opened(**changes) as context:
        made, found, dropped = desk.Desk(context, shared=True), context.tally.counts, 0
        for burst in (1, 2):
            keys = [f"{burst}/{number:02}.jpg" for number in range(20)]
            pipeline_lab.put_all(keys)
            taken = sum(made.tell(Notice(pipeline_lab.a, key, removed=False, at=None)) for key in keys)
            assert narrow <= taken <= narrow + 2
            dropped += len(keys) - taken
            time.sleep(0.5)
            assert (found[counts.DROPPED], found[counts.GAPS], made.now()[counts.DROPPING]) == (dropped, burst - 1, 1)
            hold.let(10**6)
            wait(lambda: not made.now()[counts.EVENTS_PENDING])
            wait(lambda: not made.now()[counts.DROPPING])
            time.sleep(0.5)
            assert found[counts.GAPS] == burst
            hold.let(hold.came)
        made.close()
        hold.let(10**6)
        assert not pipeline_lab.exact()
        pipeline_lab.sweep()
        assert pipeline_lab.exact()


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    server = start_minio(tmp_path, port=port)
    lab = PipelineLab(
        f"http://127.0.0.1:{port}", tmp_path / "lab", s3_client(f"http://127.0.0.1:{port}", ADMIN, PASSWORD)
    )
    lab.make()
    pod = lab.listen()
    try:
        lab.put_all(KEYS[:20])
        server.process.kill()
        server.process.wait()
        server = start_minio(tmp_path, port=port)
        wait(lambda: pod.now(counts.LISTENING))
        time.sleep(1)
        lab.put_all(KEYS[20:])
        wait(lambda: set(KEYS[20:]) <= lab.keys(lab.b))
        wait(lambda: not pod.now(counts.EVENTS_PENDING), 60)
        lab.end(pod)
        lab.sweep()
        assert lab.exact()
    finally:
        server.stop()


def test_a_pod_that_may_not_listen_says_which_right_is_missing(pipeline_lab: PipelineLab) -> None:
    root = pipeline_lab.mount("listen", pipeline_lab.spec(events=None))
    text = (root / names.RUN_FILE).read_text().replace('"events":null', '"events":{"minio":{}}')
    (root / names.RUN_FILE).write_text(text)
    from bucketops_jobs.worker import work  # noqa: PLC0415

    code, result = work(root, 0, threading.Event())
    assert (code, result.reason) == (names.EXIT_USER, "AccessDenied")
    assert "s3:ListenBucketNotification" in result.message


TOKEN = "a-long-random-token"


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> str:
    port = free_port()
    monkeypatch.setenv(names.ENV_WEBHOOK_PORT, str(port))
    return f"http://127.0.0.1:{port}/"


def event(bucket: str, *keys: str) -> dict[str, object]:
    records = [
        {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T00:00:00.000Z",
         "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
        for key in keys
    ]  # fmt: skip
    return {"Records": records}


def test_posted_events_are_done_and_strangers_are_refused(pipeline_lab: PipelineLab, webhook: str) -> None:
    changes = {"events": {"webhook": {"secretRef": {"name": "hook"}}}}
    root = pipeline_lab.mount("listen", pipeline_lab.spec(**changes), hook={"token": TOKEN})
    pipeline_lab.listen(root=root, **changes)
    pipeline_lab.put_all(["a b.jpg", "c+d.jpg"])
    wanted = event(pipeline_lab.a, "a+b.jpg", "c%2Bd.jpg")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(webhook, json=wanted, timeout=5).status_code == 401
    assert requests.post(webhook, json=wanted, headers={"Authorization": "Bearer no"}, timeout=5).status_code == 401
    assert requests.post(webhook, data=b"{", headers=headers, timeout=5).status_code == 400
    assert requests.post(webhook, data=b"x" * (1 << 21), headers=headers, timeout=5).status_code == 413
    assert requests.get(webhook, timeout=5).status_code == 200
    assert requests.post(webhook, json=wanted, headers=headers, timeout=5).status_code == 202
    wait(lambda: pipeline_lab.keys(pipeline_lab.b) == {"a b.jpg", "c+d.jpg"})


@pytest.mark.usefixtures("narrow")
def test_posted_events_without_room_are_refused_so_that_they_are_posted_again(
    pipeline_lab: PipelineLab, webhook: str
) -> None:
    keys = [f"{number}.jpg" for number in range(12)]
    pipeline_lab.put_all(keys)
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def post(key: str) -> requests.Response:
        return requests.post(webhook, json=event(pipeline_lab.a, key), headers=headers, timeout=5)

    with held(pipeline_lab) as (hold, changes):
        changes["events"] = {"webhook": {"secretRef": {"name": "hook"}}}
        root = pipeline_lab.mount("listen", pipeline_lab.spec(**changes), hook={"token": TOKEN})
        pod = pipeline_lab.listen(root=root, **changes)
        answers = {key: post(key) for key in keys}
        left = [key for key in keys if answers[key].status_code == 503]
        assert len(left) >= len(keys) - 6
        assert all(answers[key].headers["Retry-After"] for key in left)
        assert pod.now(counts.DROPPING) == 1
        hold.let(10**6)
        wait(lambda: pipeline_lab.keys(pipeline_lab.b) == set(keys) - set(left))
        for key in left:
            wait(lambda: post(key).status_code == 202)  # noqa: B023
        wait(pipeline_lab.exact)


def test_told_to_stop_it_finishes_what_it_has_heard(pipeline_lab: PipelineLab, webhook: str) -> None:
    changes = {"events": {"webhook": {"secretRef": {"name": "hook"}}}, "worker": {"concurrency": 1}}
    root = pipeline_lab.mount("listen", pipeline_lab.spec(**changes), hook={"token": TOKEN})
    pod = pipeline_lab.listen(root=root, **changes)
    keys = [f"{number}.jpg" for number in range(40)]
    pipeline_lab.put_all(keys)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(webhook, json=event(pipeline_lab.a, *keys), headers=headers, timeout=5).status_code == 202
    code, result = pipeline_lab.end(pod)
    assert (code, result.counts["processed"]) == (names.EXIT_DONE, len(keys))
    assert pipeline_lab.exact()


def test_minio_itself_posts_its_events(tmp_path: Path, webhook: str) -> None:
    """The server's own webhook target, with its own encoding of keys."""
    server = start_minio(
        tmp_path, MINIO_NOTIFY_WEBHOOK_ENABLE_X="on", MINIO_NOTIFY_WEBHOOK_ENDPOINT_X=webhook,
        MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_X=TOKEN,
    )  # fmt: skip
    endpoint = f"http://127.0.0.1:{server.port}"
    lab = PipelineLab(endpoint, tmp_path / "lab", s3_client(endpoint, ADMIN, PASSWORD)).make()
    try:
        changes = {"events": {"webhook": {"secretRef": {"name": "hook"}}}}
        root = lab.mount("listen", lab.spec(**changes), hook={"token": TOKEN})
        pod = lab.listen(root=root, **changes)
        queue = {"Id": "x", "QueueArn": "arn:minio:sqs::X:webhook", "Events": ["s3:ObjectCreated:*"]}
        lab.s3.put_bucket_notification_configuration(
            Bucket=lab.a, NotificationConfiguration={"QueueConfigurations": [queue]}
        )
        lab.put_all(KEYS[:10])
        wait(lambda: lab.keys(lab.b) == set(KEYS[:10]))
        lab.end(pod)
        assert lab.exact()
    finally:
        server.stop()


@pytest.fixture
def queue(moto: str) -> Iterator[tuple[object, str]]:
    client = boto3.client(
        "sqs", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    url = client.create_queue(QueueName=f"events-{secrets.token_hex(4)}")["QueueUrl"]
    yield client, url
    client.delete_queue(QueueUrl=url)


def test_messages_of_a_queue_are_done_and_deleted(pipeline_lab: PipelineLab, queue: tuple[object, str]) -> None:
    """Two pods, which receive what they can; test events and nonsense do not come again."""
    client, url = queue
    events = {"sqs": {"queueUrl": url, "region": "us-east-1"}}
    pods = [pipeline_lab.listen(replica, events=events, replicas=2) for replica in range(2)]
    pipeline_lab.put_all([f"{number}.jpg" for number in range(30)])
    bodies = [event(pipeline_lab.a, *(f"{n}.jpg" for n in range(first, first + 3))) for first in range(0, 30, 3)]
    extra = [{"Service": "Amazon S3", "Event": "s3:TestEvent"}, {"what": "nonsense"}, event("b", "\ud800")]
    texts = [json.dumps(body) for body in (*bodies, *bodies[:3], *extra)]
    for text in ("[" * 100_000, *texts):
        client.send_message(QueueUrl=url, MessageBody=text)  # type: ignore[attr-defined]
    wait(pipeline_lab.exact, 60)

    def left() -> int:
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]  # type: ignore[attr-defined]
        return sum(map(int, found.values()))

    wait(lambda: left() == 0)
    assert sum(pod.count(counts.EVENTS_UNREAD) for pod in pods) == 3


@pytest.mark.usefixtures("narrow")
def test_messages_without_room_stay_in_the_queue_and_come_again(
    pipeline_lab: PipelineLab, queue: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hear_sqs, "AGAIN_SECONDS", 1)
    client, url = queue
    keys = [f"{number}.jpg" for number in range(10)]
    pipeline_lab.put_all(keys)
    for key in keys:
        client.send_message(QueueUrl=url, MessageBody=json.dumps(event(pipeline_lab.a, key)))  # type: ignore[attr-defined]
    with held(pipeline_lab) as (hold, changes):
        changes["events"] = {"sqs": {"queueUrl": url, "region": "us-east-1"}}
        pod = pipeline_lab.listen(**changes)
        wait(lambda: pod.count(counts.DROPPED))
        hold.let(10**6)
        wait(pipeline_lab.exact, 60)
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

        def left() -> int:
            found = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]  # type: ignore[attr-defined]
            return sum(map(int, found.values()))

        wait(lambda: left() == 0)


def test_a_message_stays_with_whoever_works_on_it_however_long_that_takes(
    pipeline_lab: PipelineLab, queue: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hear_sqs, "VISIBILITY_SECONDS", 3)
    client, url = queue
    pipeline_lab.put("a.jpg")
    client.send_message(QueueUrl=url, MessageBody=json.dumps(event(pipeline_lab.a, "a.jpg")))  # type: ignore[attr-defined]
    with held(pipeline_lab) as (hold, changes):
        changes["events"] = {"sqs": {"queueUrl": url, "region": "us-east-1"}}
        pod = pipeline_lab.listen(**changes)
        wait(lambda: hold.came)
        time.sleep(8)
        assert pod.count(counts.EVENTS) == 1
        hold.let(1)
        wait(pipeline_lab.exact)


def test_a_queue_that_is_not_there_is_named(pipeline_lab: PipelineLab, moto: str) -> None:
    from bucketops_jobs.worker import work  # noqa: PLC0415

    events = {"sqs": {"queueUrl": f"{moto}/123456789012/nowhere", "region": "us-east-1"}}
    code, result = work(pipeline_lab.mount("listen", pipeline_lab.spec(events=events)), 0, threading.Event())
    assert (code, result.reason) == (names.EXIT_USER, "InvalidSpec")
    assert "create the queue" in result.message
