"""From one server to another that is not like it. moto holds any key and believes every signature."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from support.avatars import s3_client
from support.driver import condition, driving
from support.servers import ADMIN, PASSWORD

CREDENTIALS = {"AWS_ACCESS_KEY_ID": ADMIN, "AWS_SECRET_ACCESS_KEY": PASSWORD}


def place(endpoint: str, bucket: str, prefix: str) -> dict[str, Any]:
    credentials = {"secretRef": {"name": "s3"}}
    return {"bucket": bucket, "prefix": prefix, "endpoint": endpoint, "credentials": credentials}


def test_a_key_that_the_destination_stores_under_another_name_is_reported_and_kept(
    moto: str, versitygw: str, tmp_path: Path
) -> None:
    """versitygw answers 200 for a//b and stores a/b."""
    bucket = f"servers-{secrets.token_hex(4)}"
    source, destination = (s3_client(endpoint, ADMIN, PASSWORD) for endpoint in (moto, versitygw))
    for client in (source, destination):
        client.create_bucket(Bucket=bucket)
    for key in ("plain", "a//b", "c d+é"):
        source.put_object(Bucket=bucket, Key=f"image/{key}", Body=key.encode(), Metadata={"of": "me"})
    spec = {
        "mode": "Apply",
        "source": place(moto, bucket, "image/"),
        "destination": place(versitygw, bucket, "avatar/"),
        "cleanup": {"policy": "Delete", "grace": "1s"},
        "worker": {"parallelism": 1, "shards": 1, "concurrency": 8},
    }
    with driving(tmp_path, {"s3": CREDENTIALS}, spec, "servers", processes=False) as driver:
        status = driver.finish()
    assert not condition(status, "Complete"), status
    assert status["outcomes"]["moved"] == 2
    assert status["outcomes"]["failed"] == 1
    assert any("a//b" in str(sample) and "under another name" in str(sample) for sample in status["samples"]), status
    kept = {row["Key"] for row in source.list_objects_v2(Bucket=bucket, Prefix="image/").get("Contents", [])}
    assert kept == {"image/a//b"}
    for key in ("plain", "c d+é"):
        answer = destination.get_object(Bucket=bucket, Key=f"avatar/{key}")
        assert (answer["Body"].read(), answer["Metadata"]) == (key.encode(), {"of": "me"})
