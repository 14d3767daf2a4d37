"""How keys are cut into shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketops_jobs import shards as sharding
from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.shards import MOST_SHARDS, Sampler, shard_count

CAN = Capabilities(copy_if_absent=True, put_if_absent=True, delete_if_match=True, lost=("expires",))
KEYS = st.sets(st.text(max_size=4), max_size=60)


def plan(bounds: tuple[str, ...]) -> Plan:
    return Plan(epoch="000001", bounds=bounds, capabilities=CAN, dangling=())


def sampled(keys: set[str]) -> Sampler:
    sampler = Sampler([])
    for key in sorted(keys):
        sampler.add(key)
    return sampler


@given(keys=KEYS, others=KEYS, shards=st.integers(1, 20))
def test_every_key_lies_in_exactly_one_shard(keys: set[str], others: set[str], shards: int) -> None:
    ranges = plan(sampled(keys).bounds(shards)).ranges()
    assert len(ranges) <= shards
    for key in keys | others | {""}:
        assert sum(key in within for within in ranges) == 1


def test_shards_are_about_even_however_many_keys_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "_SAMPLES", 200)
    keys = {f"{number:06d}" for number in range(10_000)}
    sampler = sampled(keys)
    assert len(sampler.keys) < 200
    sizes = [sum(key in within for key in keys) for within in plan(sampler.bounds(8)).ranges()]
    assert len(sizes) == 8
    assert max(sizes) - min(sizes) < 500


@pytest.mark.parametrize(
    ("wanted", "parallelism", "keys", "shards"),
    [
        pytest.param("auto", 4, 100_000, 4, id="one per pod"),
        pytest.param("auto", 4, 5_000_000, 20, id="more where a shard would not fit"),
        pytest.param("auto", 4, 2, 2, id="none without a key"),
        pytest.param("auto", 4, 0, 1, id="one for nothing at all"),
        pytest.param(7, 4, 100, 7, id="as told"),
        pytest.param(7, 4, 3, 3, id="as told, but none without a key"),
        pytest.param("auto", 4, 10**12, MOST_SHARDS, id="never more than a Job takes"),
    ],
)
def test_the_number_of_shards(wanted: int | str, parallelism: int, keys: int, shards: int) -> None:
    assert shard_count(wanted, parallelism, keys) == shards


def test_a_plan_survives_its_artifact() -> None:
    made = plan(("a", "日本"))
    assert Plan.model_validate_json(made.model_dump_json()) == made
    assert made.capabilities.copy_if_absent
