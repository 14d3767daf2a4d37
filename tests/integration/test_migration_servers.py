"""From one server to another that is not like it. moto holds any key and believes every signature."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from bucketops_api.privileges import migration
from bucketops_api.v1alpha1.migration import MigrationSpec
from support.avatars import s3_client
from support.driver import condition, driving
from support.identities import Identity, anybody, gateway_user
from support.servers import ADMIN, PASSWORD

ROOT = Identity(ADMIN, PASSWORD)


def place(endpoint: str, bucket: str, prefix: str, secret: str) -> dict[str, Any]:
    credentials = {"secretRef": {"name": secret}}
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
        "source": place(moto, bucket, "image/", "any"),
        "destination": place(versitygw, bucket, "avatar/", "one"),
        "cleanup": {"policy": "Delete", "grace": "1s"},
        "worker": {"parallelism": 1, "shards": 1, "concurrency": 8},
    }
    model = MigrationSpec.model_validate(spec)
    rights = migration.policy(*migration.destination_statements(model))
    users = {"any": anybody(), "one": gateway_user(versitygw, ROOT, rights)}
    mounted = {name: user.secret() for name, user in users.items()}
    with driving(tmp_path, mounted, spec, "servers", processes=False) as driver:
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
