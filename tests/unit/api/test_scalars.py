"""Scalars: bounds, checks, and the sentence that says what to write instead."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bucketops_api.v1alpha1.common import BucketRef
from bucketops_api.v1alpha1.migration import Format
from bucketops_api.v1alpha1.scalars import (
    BucketName,
    Duration,
    Endpoint,
    Quantity,
    Shards,
    parse_duration,
    parse_quantity,
)

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("24h", 86_400), ("1h30m", 5400), ("30d", 2_592_000), ("0s", 0)]
)
def test_durations_are_read_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    seconds = sum(number * UNITS[unit] for number, unit in parts)
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "1.5h", "-1s", " 1s", "1s\n", "1y", "1h 30m", "99999w"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"30s|100 years"):
        parse_duration(text)
    with pytest.raises(ValidationError, match="write a duration such as"):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize(
    ("value", "size"), [(0, 0), (1024, 1024), ("1024", 1024), ("1k", 1000), ("512Mi", 512 << 20), ("5T", 5 * 10**12)]
)
def test_quantities_are_read_as_kubernetes_writes_them(value: int | str, size: int) -> None:
    assert parse_quantity(value) == size
    TypeAdapter(Quantity).validate_python(value)


@given(st.integers(0, 10**6), st.sampled_from(["", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]))
def test_a_larger_number_is_a_larger_quantity(number: int, unit: str) -> None:
    assert parse_quantity(f"{number + 1}{unit}") > parse_quantity(f"{number}{unit}")


@pytest.mark.parametrize("value", ["", "-1", -1, "1.5Gi", "1 Mi", "1Mb", "1\n", "Mi"])
def test_what_is_no_quantity_is_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match="512Mi"):
        parse_quantity(value)
    with pytest.raises(ValidationError, match="512Mi"):
        TypeAdapter(Quantity).validate_python(value)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (BucketName, ["abc", "legacy-s3", "a.b.c"], ["ab", "-ab", "ab-", "Abc", "a_b", "abc\n", "a" * 64]),
        (Endpoint, ["http://minio:9000", "https://s3.example/"], ["minio:9000", "ftp://x", "http://x/y"]),
        (Shards, ["auto", 1, 10_000], [0, 10_001, "some", "5", -1]),
        (
            Format,
            ["{key}", "https://x/{key}", "{key:url}?v=1"],
            ["", "key", "{key}{key}", "{key:json}", "{}", "{key}\n}"],
        ),
    ],
)
def test_what_is_accepted_and_what_is_refused(type_: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        TypeAdapter(type_).validate_python(value)
    for value in bad:
        with pytest.raises(ValidationError):
            TypeAdapter(type_).validate_python(value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000/",
        "https://minio.storage.svc:9000",
        "https://s3_internal",
        "http://[::1]:9000",
        "https://[fd00::1]",
        "http://h:65535",
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_perhaps_a_port(endpoint: str) -> None:
    assert BucketRef.model_validate({"bucket": "bucket", "endpoint": endpoint}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:pw@host",
        "http://user@host",
        "http://host/path",
        "http://host:9000/s3/",
        "http://host?x=1",
        "http://host#frag",
        "http://host/?x=1",
        "http://host:0",
        "http://host:65536",
        "http://host:",
        "http://",
        "http://:9000",
        "http://::1",
        "http://[::1",
        "ftp://host",
        "HTTP://host",
        "host:9000",
        " http://host",
        "http://host\n",
        "http://ho st",
        "http://host\\path",
        "http://höst",
    ],
)
def test_an_endpoint_is_nothing_else(endpoint: str) -> None:
    with pytest.raises(ValidationError, match=r"write scheme, host and perhaps a port.*in small letters"):
        BucketRef.model_validate({"bucket": "bucket", "endpoint": endpoint})
