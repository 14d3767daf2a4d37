"""A canary in each key of each Secret of each kind, on every error path that can be reached: it is in no word.

Words are what workers write (stdout, stderr, results), statuses and Events, and what `bucketops run` prints.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import secrets
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kubernetes.client
import pytest
import yaml
from prometheus_client import generate_latest

from bucketops_api import logs
from bucketops_api.masking import MASK
from bucketops_api.reasons import Reason
from bucketops_jobs.access.aws_users import AwsUsers
from bucketops_operator import keysecrets, local_worker
from bucketops_operator.errors import StalledError
from bucketops_operator.executor import Resource, SecretChange
from bucketops_operator.keysecrets import KeySecrets
from bucketops_operator.local_worker import free_port
from bucketops_operator.metrics import Key, Metrics
from bucketops_operator.rest import Api
from support.driver import Driver, driving, ended
from support.echoing import Echo
from support.servers import Server, start_moto

pytestmark = pytest.mark.slow

SECONDS = 20
"""At most, for what never ends by itself."""
ENOUGH = 25
"""Requests to a server that refuses everything."""
ANSWERS = [
    (400, "InvalidArgument"),
    (403, "AccessDenied"),
    (403, "SignatureDoesNotMatch"),
    (404, "NoSuchBucket"),
    (501, "NotImplemented"),
]
DATABASES = [
    "postgresql://{user}:{password}@{host}/{name}", "postgresql://{user}:{password}%zz@{host}/{name}",
    "postgres//{user}:{password}@{host}/{name}", "postgresql://{user}:a/{password}@{host}/{name}",
    "postgresql://{user}:a@{password}@{host}/{name}", "host={host} user={user} password=two {password} dbname={name}",
    "postgresql://{user}:{password}@127.0.0.1:1/{name}", "postgresql://{user}:{password}@127.0.0.1:{port}/{name}",
    "postgresql://x:y@127.0.0.1:{port}/{name}?sslmode={password}",
]  # fmt: skip


class Canaries:
    """Values that are found wherever they turn up, in the forms that a careless program might write."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, what: str) -> str:
        canary = f"Canary{what.title()}{secrets.token_hex(8)}"
        self.all.append(canary)
        return canary

    def s3(self) -> dict[str, str]:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {key: self(key.replace("_", "")) for key in keys}

    def require_absent(self, words: str) -> None:
        for canary in self.all:
            coded = base64.b64encode(canary.encode()).decode()[4:-4]
            for form in (canary, quote(canary), coded, canary.lower(), canary.encode().hex()):
                assert form not in words, words[max(0, words.index(form) - 300) : words.index(form) + 300]


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def words_of(driver: Driver, folder: Path) -> str:
    """All that was said; the mounts themselves are what Secrets are for."""
    files = (file for file in folder.rglob("*") if file.suffix in {".log", ".result"} and file.is_file())
    said = "\n".join(file.read_text(errors="replace") for file in files)
    return f"{said}\n{driver.seen}\n{driver.local.events}"


def run(
    kind: str,
    spec: dict[str, Any],
    given: Mapping[str, Mapping[str, str]],
    folder: Path,
    enough: Callable[[], bool] = lambda: False,
    *,
    processes: bool = False,
) -> str:
    """Drive a resource until it ends, or until it has said enough; what was said."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(logs.Formatter(text=False))
    logging.getLogger().addHandler(handler)
    try:
        with driving(folder, given, spec, "canary", kind=kind, processes=processes) as driver:
            deadline = time.monotonic() + SECONDS
            while not ended(driver.step()) and not enough() and time.monotonic() < deadline:
                driver.local.wait(0.1)
            return words_of(driver, folder) + heard.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)


def place(endpoint: str, bucket: str = "canary-bucket", prefix: str = "", **more: Any) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "prefix": prefix,
        "endpoint": endpoint,
        "credentials": {"secretRef": {"name": "s3"}},
        **more,
    }


def spec_of(kind: str, endpoint: str) -> dict[str, Any]:
    """The least that makes each kind ask a server."""
    if kind == "S3Migration":
        source, destination = place(endpoint, prefix="a/"), place(endpoint, prefix="b/")
        return {"mode": "Apply", "source": source, "destination": destination}
    if kind == "S3Retention":
        return {"mode": "Apply", "bucket": place(endpoint), "delete": {"olderThan": "30d"}, "keep": {"last": 2}}
    if kind == "ExifPipeline":
        return {
            "source": place(endpoint), "destination": place(endpoint, "canary-clean"), "replicas": 1,
            "events": {"minio": {}}, "onNotJpeg": "Skip",
        }  # fmt: skip
    return {
        "provider": "MinIO", "admin": {"endpoint": endpoint, "credentials": {"secretRef": {"name": "s3"}}},
        "user": "somebody", "grants": [{"bucket": "canary-bucket", "access": "ReadWrite"}],
        "credentialsSecret": {"name": "made"}, "createBuckets": True,
    }  # fmt: skip


def aws(endpoint: str) -> dict[str, Any]:
    """S3Access on AWS, or what stands in for it."""
    return spec_of("S3Access", endpoint) | {"provider": "AWS"}


def test_a_server_of_aws_that_shows_what_it_was_told(canaries: Canaries, tmp_path: Path) -> None:
    for number, (status, code) in enumerate(ANSWERS):
        with Echo(status, code) as echo:
            folder = tmp_path / str(number)
            words = run("S3Access", aws(echo.url), {"s3": canaries.s3()}, folder, lambda: echo.asked > 9)
            assert echo.asked
        canaries.require_absent(words)


def test_a_key_that_aws_has_made_is_in_no_word(
    canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is made by the server, put into a Secret, and then changed by somebody, so that all calls fail."""
    monkeypatch.setattr(AwsUsers, "patience", 0.0)
    server = start_moto(tmp_path)
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(logs.Formatter(text=False))
    logging.getLogger().addHandler(handler)
    try:
        endpoint = f"http://127.0.0.1:{server.port}"
        given = {"s3": {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": canaries("admin")}}
        with driving(tmp_path / "run", given, aws(endpoint), "canary", kind="S3Access") as driver:
            driver.finish()
            made = driver.local._secrets["made"]["AWS_SECRET_ACCESS_KEY"]  # noqa: SLF001 - as a pod would see it
            canaries.all.append(made)
            words = words_of(driver, tmp_path / "run")
    finally:
        logging.getLogger().removeHandler(handler)
        server.stop()
    canaries.require_absent(words + heard.getvalue())


@pytest.mark.parametrize(("status", "code"), [(403, "Forbidden"), (422, "Invalid"), (500, "InternalError")])
def test_an_api_server_that_shows_what_it_was_told(
    status: int, code: str, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error has the operator's token in it, and the whole Secret that was to be made."""
    token = canaries("token")
    with Echo(status, code) as echo:
        configuration = kubernetes.client.Configuration(host=echo.url)
        configuration.api_key["authorization"] = f"Bearer {token}"
        api = Api(kubernetes.client.ApiClient(configuration))
        owner = Resource("S3Access", "team", "canary", "uid-1", 1, {})
        made: list[str] = []
        real = keysecrets.new_pair

        def remembered() -> dict[str, str]:
            pair = real()
            made.append(pair["AWS_SECRET_ACCESS_KEY"])
            return pair

        monkeypatch.setattr(keysecrets, "new_pair", remembered)
        with pytest.raises(Exception, match=r"made|HTTP|POST") as refused:
            KeySecrets(api).change(owner, SecretChange("Make", "made", mark="canary"))
        with pytest.raises(Exception, match=str(status)) as unread:
            api.find("/api/v1/namespaces/team/secrets/made")
    canaries.all += made
    assert made
    shown = "".join(traceback.format_exception(refused.value) + traceback.format_exception(unread.value))
    canaries.require_absent(MASK.text(shown) + str(refused.value) + str(unread.value))


def test_a_webhook_with_a_wrong_token_and_what_a_worker_counts(
    minio: str, canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, metrics = free_port(), free_port()
    monkeypatch.setenv("BUCKETOPS_WEBHOOK_PORT", str(port))
    monkeypatch.setattr(local_worker, "free_port", lambda: metrics)
    given = {"s3": canaries.s3(), "hook": {"token": canaries("token")}}
    spec = spec_of("ExifPipeline", minio) | {"events": {"webhook": {"secretRef": {"name": "hook"}}}}
    answers: list[str] = []

    def asked() -> bool:
        for request in (
            urllib.request.Request(f"http://127.0.0.1:{metrics}/metrics"),
            urllib.request.Request(
                f"http://127.0.0.1:{port}/", b"{}", {"Authorization": f"Bearer {canaries('wrong')}"}
            ),
        ):
            try:
                with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - our own server
                    answers.append(answer.read().decode())
            except urllib.error.HTTPError as error:
                answers.append(f"{error.code} {error.headers} {error.read().decode()}")
            except OSError:
                continue
        return any("bucketops_worker_" in answer for answer in answers)

    words = run("ExifPipeline", spec, given, tmp_path / "run", asked, processes=True)
    assert any("bucketops_worker_" in answer for answer in answers)
    canaries.require_absent(words + "\n".join(answers))


def test_what_the_operator_counts(canaries: Canaries) -> None:
    """Statuses with a canary in every text become metrics without one."""
    metrics = Metrics(lambda: 0.0, lambda: 0.0)
    secret = canaries("password")
    MASK.learn({"PASSWORD": secret})
    told = {"message": secret, "reason": "AccessDenied", "type": "Stalled", "status": "True"}
    for kind in KINDS:
        status = {"conditions": [told], "samples": [{"key": secret, "message": secret}], "records": secret}
        metrics.resources.show(Key(kind, "team", "canary"), status)
        metrics.failed(kind, StalledError(Reason.ACCESS_DENIED, secret))
    canaries.require_absent(generate_latest(metrics.registry).decode())


KINDS = ("S3Migration", "S3Retention", "ExifPipeline", "S3Access")


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_shows_what_it_was_told(kind: str, canaries: Canaries, tmp_path: Path) -> None:
    for number, (status, code) in enumerate(ANSWERS):
        with Echo(status, code) as echo:
            spec, folder = spec_of(kind, f"http://{echo.host}"), tmp_path / str(number)
            words = run(kind, spec, {"s3": canaries.s3()}, folder, lambda: echo.asked > ENOUGH)
            assert echo.asked
        canaries.require_absent(words)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_keys_at_a_real_server(kind: str, minio: str, canaries: Canaries, tmp_path: Path) -> None:
    words = run(kind, spec_of(kind, minio), {"s3": canaries.s3()}, tmp_path / "run", processes=True)
    assert "redential" in words or "AccessDenied" in words
    canaries.require_absent(words)


@pytest.mark.parametrize("number", range(len(DATABASES)))
def test_databases_that_cannot_be_reached(
    number: int, minio: str, postgres: Server, canaries: Canaries, tmp_path: Path
) -> None:
    names = {what: canaries(what) for what in ("user", "password", "name")}
    text = DATABASES[number].format(**names, host=f"{canaries('host')}.invalid", port=postgres.port)
    driven(minio, {"DATABASE_URL": text}, canaries, tmp_path)


def test_a_database_named_by_variables(minio: str, postgres: Server, canaries: Canaries, tmp_path: Path) -> None:
    keys = ("PGUSER", "PGPASSWORD", "PGDATABASE")
    variables = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)} | {key: canaries(key) for key in keys}
    odd = {"PGHOST": "host", "PGSSLMODE": "sslmode", "PGOPTIONS": "options", "PGSSLKEY": "sslkey"}
    for number, change in enumerate([{}, *({key: canaries(what)} for key, what in odd.items())]):
        driven(minio, variables | change, canaries, tmp_path / str(number))


def driven(endpoint: str, secret: dict[str, str], canaries: Canaries, folder: Path) -> None:
    spec = spec_of("S3Migration", endpoint)
    spec["database"] = {
        "credentials": {"secretRef": {"name": "db"}},
        "references": [{"table": "avatars", "key": "id", "column": "path"}],
    }
    words = run("S3Migration", spec, {"s3": canaries.s3(), "db": secret}, folder / "run")
    assert "atabase" in words
    canaries.require_absent(words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_authorities_that_is_none(kind: str, canaries: Canaries, tmp_path: Path) -> None:
    spec = spec_of(kind, f"https://127.0.0.1:{free_port()}")
    for each in ("source", "destination", "bucket", "admin"):
        if each in spec:
            spec[each]["caBundle"] = {"secretRef": {"name": "ca", "key": "ca.crt"}}
    given = {
        "s3": canaries.s3(),
        "ca": {"ca.crt": f"{canaries('ca')}\n{canaries('second')}", "other": canaries("other")},
    }
    canaries.require_absent(run(kind, spec, given, tmp_path / "run"))


@pytest.mark.parametrize("events", ["sqs", "webhook"])
def test_events_of_a_queue_and_of_a_webhook(
    events: str, minio: str, canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKETOPS_WEBHOOK_PORT", str(free_port()))
    given = {"s3": canaries.s3(), "hook": {"token": canaries("token")}}
    with Echo(400, "InvalidAddress") as echo:
        told = {
            "sqs": {"queueUrl": f"http://{echo.host}/1/queue", "region": "us-east-1"},
            "webhook": {"secretRef": {"name": "hook"}},
        }
        spec = spec_of("ExifPipeline", minio) | {"events": {events: told[events]}}
        canaries.require_absent(run("ExifPipeline", spec, given, tmp_path / "run", lambda: echo.asked > 0))


def test_a_proxy_with_a_password(canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Echo(407, "ProxyAuthenticationRequired") as echo:
        address = f"http://{canaries('user')}:{canaries('proxy')}@{echo.host}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, address)
        spec = spec_of("S3Retention", "https://s3.example.invalid")
        canaries.require_absent(run("S3Retention", spec, {"s3": canaries.s3()}, tmp_path / "run"))


def test_libraries_that_tell_all(canaries: Canaries, tmp_path: Path) -> None:
    """Somebody has switched on what botocore and urllib3 tell to those who look for errors."""
    program = (
        "import logging, sys\nfrom pathlib import Path\nfrom bucketops_api import logs\n"
        "from bucketops_api.v1alpha1.common import BucketRef\nfrom bucketops_jobs.s3 import boto\n"
        "logs.setup('json')\nfor name in ('', 'botocore', 'urllib3', 'boto3'):\n"
        "    logging.getLogger(name).setLevel(logging.DEBUG)\n"
        "ref = BucketRef.model_validate({'bucket': 'abc', 'endpoint': sys.argv[1], "
        "'credentials': {'secretRef': {'name': 's3'}}})\n"
        "boto.control(boto.session(ref, Path(sys.argv[2])), ref, Path(sys.argv[2])).list_objects_v2(Bucket='abc')\n"
    )
    mount = tmp_path / "secrets" / "s3"
    mount.mkdir(parents=True)
    for key, value in canaries.s3().items():
        (mount / key).write_text(value)
    with Echo(403, "AccessDenied") as echo:
        command = [sys.executable, "-c", program, f"http://{echo.host}", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "CanonicalRequest" in done.stderr
    assert "uncaught" in done.stderr
    canaries.require_absent(done.stdout + done.stderr)


@pytest.fixture
def bucketops() -> str:
    return str(Path(sys.executable).parent / "bucketops")


@pytest.mark.parametrize("broken", ["", "  : {", "data: [", "'"])
def test_the_command_line(broken: str, bucketops: str, minio: str, canaries: Canaries, tmp_path: Path) -> None:
    """A manifest with its Secrets; a broken one is told of by its line."""
    metadata = {"apiVersion": "bucketops.dev/v1alpha1", "metadata": {"name": "canary"}}
    documents = [
        metadata | {"kind": "S3Retention", "spec": spec_of("S3Retention", minio)},
        {"kind": "Secret", "metadata": {"name": "s3"}, "stringData": canaries.s3()},
    ]
    file = tmp_path / "m.yaml"
    file.write_text(f"{yaml.safe_dump_all(documents)}{broken}\n")
    for command in ("run", "policy"):
        what = ["S3Retention"] if command == "policy" else []
        done = subprocess.run(
            [bucketops, command, *what, "-f", str(file)], capture_output=True, text=True, check=False, cwd=tmp_path,
            env=os.environ | {"COLUMNS": "400"}, timeout=120,
        )  # fmt: skip
        canaries.require_absent(done.stdout + done.stderr)
    env = tmp_path / "s3.env"
    env.write_text(f"AWS_SECRET_ACCESS_KEY {canaries('line')}\n=x\n{canaries('key')}!={canaries('value')}\n")
    for secret in (canaries("argument"), f"s3={env}", f"s3={tmp_path}", f"{canaries('name')}={env}"):
        given = subprocess.run(
            [bucketops, "run", "-f", str(file), "--secret", secret], capture_output=True, text=True, check=False
        )
        canaries.require_absent(given.stdout + given.stderr)
        assert given.returncode


def test_the_command_line_on_manifests_that_are_none(bucketops: str, canaries: Canaries, tmp_path: Path) -> None:
    """Each is refused in words; its Secret stands beside it, in base64 that is broken, or under a key that is none."""
    resource = {"apiVersion": "bucketops.dev/v1alpha1", "kind": "S3Retention", "metadata": {"name": "canary"}}
    for wrong in (
        {"data": {"token": canaries("base64") + "!"}},
        {"stringData": {f"../{canaries('key')}": canaries("value")}},
        {"stringData": {"token": {canaries("deep"): canaries("deeper")}}},
        {"stringData": [canaries("list")]},
    ):
        file = tmp_path / "m.yaml"
        secret = {"kind": "Secret", "metadata": {"name": "s3"}} | wrong
        file.write_text(yaml.safe_dump_all([resource | {"spec": {"bucket": canaries("spec")[:3]}}, secret]))
        for command in (["run"], ["policy", "S3Retention"]):
            done = subprocess.run(
                [bucketops, *command, "-f", str(file)], capture_output=True, text=True, check=False, cwd=tmp_path
            )
            assert done.returncode
            canaries.require_absent(done.stdout + done.stderr)
