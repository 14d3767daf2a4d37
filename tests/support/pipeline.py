"""Two buckets and a place for refusals on a real MinIO, pictures to put there, and a pipeline's pods as threads."""

from __future__ import annotations

import io
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bucketops_api import counts, names
from bucketops_api.contract import RunResult, RunSpec, resolved
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_jobs.engine import Engine
from bucketops_jobs.exif.strip import strip
from bucketops_jobs.pace import Pace
from bucketops_jobs.pipeline import context
from bucketops_jobs.pipeline.context import Context
from bucketops_jobs.tally import Tally
from bucketops_jobs.worker import work
from support.avatars import s3_client
from support.identities import Identity, pipeline_user
from support.jpegs import after_soi, picture, segment
from support.servers import ADMIN, PASSWORD

SECRET = "pipeline-s3"
SCHEDULED = "pictures-scheduled-g1"
"""The run of a sweep by schedule."""
ROOT = Identity(ADMIN, PASSWORD)


def photo(text: str = "", size: int = 16) -> bytes:
    """A picture that says where it was taken, and how its user is called."""
    where = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0GPS 52.5 13.4 " + text.encode())
    return after_soi(picture(size=(size, size)), where, segment(0xFE, b"by somebody " + text.encode()))


def stripped(data: bytes) -> bytes:
    sink = io.BytesIO()
    assert strip(io.BytesIO(data), sink).clean
    return sink.getvalue()


@dataclass
class Pod:
    """A pod under way, as a thread."""

    stop: threading.Event = field(default_factory=threading.Event)
    tally: Tally | None = None
    thread: threading.Thread | None = None
    answer: tuple[int, RunResult] | None = None

    def now(self, name: str) -> int:
        return int(self.tally.now().get(name, 0)) if self.tally else 0

    def count(self, name: str) -> int:
        return self.tally.counts[name] if self.tally else 0


@dataclass
class PipelineLab:
    """Everything of one test, with the rights of an administrator."""

    endpoint: str
    folder: Path
    s3: Any
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    through: str = ""
    """The endpoint that the pipeline sees, if it is another one."""
    runs: int = 0
    pods: list[Pod] = field(default_factory=list)

    @property
    def a(self) -> str:
        return f"bucket-a-{self.token}"

    @property
    def b(self) -> str:
        return f"bucket-b-{self.token}"

    @property
    def q(self) -> str:
        return f"bucket-q-{self.token}"

    def make(self) -> PipelineLab:
        for bucket in (self.a, self.b, self.q):
            self.s3.create_bucket(Bucket=bucket)
        return self

    def place(self, bucket: str, prefix: str = "") -> dict[str, Any]:
        endpoint = self.through or self.endpoint
        credentials = {"secretRef": {"name": SECRET}}
        return {"bucket": bucket, "prefix": prefix, "endpoint": endpoint, "credentials": credentials}

    def spec(self, **changes: Any) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "source": self.place(self.a),
            "destination": self.place(self.b),
            "quarantine": self.place(self.q, "pictures/"),
            "events": {"minio": {}},
            "replicas": 1,
            "worker": {"concurrency": 8, "parallelism": 2},
        }
        return plain | changes

    def put(self, key: str, data: bytes | None = None, bucket: str = "", **how: Any) -> str:
        """Upload as a user would; answers the ETag."""
        body = photo(key) if data is None else data
        return str(self.s3.put_object(Bucket=bucket or self.a, Key=key, Body=body, **how)["ETag"]).strip('"')

    def put_all(self, keys: list[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.put, keys))

    def get(self, key: str, bucket: str = "") -> bytes:
        return bytes(self.s3.get_object(Bucket=bucket or self.b, Key=key)["Body"].read())

    def head(self, key: str, bucket: str = "") -> dict[str, Any]:
        return dict(self.s3.head_object(Bucket=bucket or self.b, Key=key))

    def keys(self, bucket: str) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = (row["Key"] for page in pages for row in page.get("Contents", ()))
        return {key for key in found if not key.startswith(names.RECORDS_FOLDER)}

    def refusal(self, key: str) -> dict[str, Any]:
        """What the quarantine says of a picture."""
        return dict(json.loads(self.get(f"pictures/{key}", self.q)))

    def exact(self) -> bool:
        """Whether the destination is exactly the stripped source."""
        return self.keys(self.a) == self.keys(self.b) and all(
            self.get(key) == stripped(self.get(key, self.a)) for key in self.keys(self.a)
        )

    def secrets(self, spec: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Of a user with the documented rights and no others."""
        return {SECRET: pipeline_user(self.endpoint, ROOT, PipelineSpec.model_validate(spec)).secret()}

    def mount(self, phase: str, spec: dict[str, Any], *, shards: int = 1, run: str = "", **given: Any) -> Path:
        """A worker's folder; `given` are further Secrets, and `changed_since` of the RunSpec."""
        since = given.pop("changed_since", None)
        model = PipelineSpec.model_validate(spec)
        self.runs += 1
        root = self.folder / f"run-{self.runs}"
        work_spec = RunSpec(
            kind="ExifPipeline", phase=phase, namespace="default", name="pictures", shards=shards,
            run=run or f"pictures-{self.runs}-{phase}", spec=resolved(model), changed_since=since,
        )  # fmt: skip
        (root / names.RUN_FILE).parent.mkdir(parents=True)
        (root / names.RUN_FILE).write_text(work_spec.model_dump_json(by_alias=True))
        for name, data in (self.secrets(spec) | given).items():
            (root / names.SECRETS_DIR / name).mkdir(parents=True)
            for key, value in data.items():
                (root / names.SECRETS_DIR / name / key).write_text(value)
        return root

    def sweep(self, **changes: Any) -> RunResult:
        """A sweep that goes well."""
        code, result = self.try_sweep(**changes)
        assert code == names.EXIT_DONE, result
        return result

    def try_sweep(self, *, run: str = "", **changes: Any) -> tuple[int, RunResult]:
        return work(self.mount("sweep", self.spec(**changes), run=run), 0, threading.Event())

    def unmark(self, key: str) -> None:
        """Take our mark from a clean picture whose content, and so its ETag, stays as it is."""
        before = self.head(key)["ETag"]
        source = {"Bucket": self.b, "Key": key}
        self.s3.copy_object(Bucket=self.b, Key=key, CopySource=source, MetadataDirective="REPLACE", Metadata={"x": "y"})
        assert self.head(key)["ETag"] == before

    def watermark(self, **changes: datetime) -> None:
        """Let the last scheduled sweep have been at another time."""
        times = {name: when.isoformat() for name, when in changes.items()}
        body = json.dumps(self.watermarked() | times).encode()
        self.s3.put_object(Bucket=self.b, Key=self._swept(), Body=body)

    def watermarked(self) -> dict[str, str]:
        """What the last scheduled sweep left for the next one."""
        return dict(json.loads(self.get(self._swept())))

    def _swept(self) -> str:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.b, Prefix=names.RECORDS_FOLDER)
        (key,) = (row["Key"] for page in pages for row in page["Contents"] if row["Key"].endswith("/swept.json"))
        return str(key)

    def listen(self, replica: int = 0, root: Path | None = None, **changes: Any) -> Pod:
        """Start a pod that hears events, and wait until it does."""
        spec, pod = self.spec(**changes), Pod()
        mounted = root or self.mount("listen", spec, shards=spec["replicas"])

        def run() -> None:
            pod.answer = work(mounted, replica, pod.stop, lambda tally: setattr(pod, "tally", tally))

        pod.thread = threading.Thread(target=run, daemon=True)
        pod.thread.start()
        self.pods.append(pod)
        wait(lambda: pod.now(counts.LISTENING) or pod.answer)
        assert pod.answer is None, pod.answer
        return pod

    @contextmanager
    def opened(self, **changes: Any) -> Iterator[Context]:
        """The tools of a pod, in the hands of a test."""
        root = self.mount("sweep", self.spec(**changes))
        run = RunSpec.model_validate_json((root / names.RUN_FILE).read_text())
        with Engine(Pace(4, None, threading.Event()), 4) as engine:
            made = context.build(run, 0, root, engine, Tally())
            yield made
            made.close()

    def end(self, pod: Pod) -> tuple[int, RunResult]:
        """As SIGTERM does."""
        pod.stop.set()
        assert pod.thread
        pod.thread.join(60)
        assert pod.answer
        return pod.answer

    @contextmanager
    def listening(self, **changes: Any) -> Iterator[Pod]:
        pod = self.listen(**changes)
        yield pod
        self.end(pod)


def wait(holds: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return answer


@pytest.fixture
def pipeline_lab(minio: str, tmp_path: Path) -> Iterator[PipelineLab]:
    lab = PipelineLab(minio, tmp_path, s3_client(minio, ADMIN, PASSWORD)).make()
    yield lab
    for pod in lab.pods:
        pod.stop.set()
    for pod in lab.pods:
        if pod.thread:
            pod.thread.join(60)
