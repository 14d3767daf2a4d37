"""Which way an object takes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bucketops_jobs.migration.plans import Plan
from bucketops_jobs.migration.transfer import Way, large_mode, mode, way
from bucketops_jobs.s3.capabilities import Capabilities
from bucketops_jobs.s3.store import Object

GIB, MIB = 1 << 30, 1 << 20
AWS = Capabilities(
    copy_if_absent=True,
    put_if_absent=True,
    delete_if_match=True,
    complete_if_absent=True,
    multipart=True,
    part_copy=True,
)
MINIO = Capabilities(
    copy_if_absent=False,
    put_if_absent=True,
    delete_if_match=False,
    complete_if_absent=True,
    multipart=True,
    part_copy=True,
)
LOOSE_PARTS = Capabilities(
    copy_if_absent=False, put_if_absent=True, delete_if_match=False, multipart=True, part_copy=True
)
BARE = Capabilities(copy_if_absent=False, put_if_absent=False, delete_if_match=False)
SMALL, MIDDLE, PARTED, HUGE = (50_000, ""), (100 * MIB, ""), (100 * MIB, "-7"), (6 * GIB, "")


def source(size: int, parts: str) -> Object:
    return Object("k", "0" * 32 + parts, size, datetime(2026, 1, 1, tzinfo=UTC))


def plan(can: Capabilities, *, server: bool = True) -> Plan:
    return Plan(
        epoch="1", bounds=(), capabilities=can, dangling=(), server_copy=server, why_streamed="" if server else "w"
    )


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("can", "server", "ways"),
    [
        (AWS, True, (Way.COPY, Way.COPY, Way.COPY_PARTS, Way.COPY_PARTS)),
        (AWS, False, (Way.CARRY, Way.CARRY_PARTS, Way.CARRY_PARTS, Way.CARRY_PARTS)),
        (BARE, False, (Way.CARRY,) * 4),
    ],
)
def test_what_conditions_hold_for_needs_no_guard(
    can: Capabilities, ways: tuple[Way, ...], *, server: bool, strict: bool
) -> None:
    found = tuple(way(plan(can, server=server), source(*one), strict=strict) for one in (SMALL, MIDDLE, PARTED, HUGE))
    assert found == ways


@pytest.mark.parametrize(
    ("can", "strict", "check"),
    [
        (
            MINIO,
            (Way.CARRY, Way.CARRY_PARTS, Way.COPY_PARTS, Way.COPY_PARTS),
            (Way.COPY, Way.COPY, Way.COPY_PARTS, Way.COPY_PARTS),
        ),
        (LOOSE_PARTS, (Way.CARRY,) * 4, (Way.COPY, Way.COPY, Way.COPY_PARTS, Way.COPY_PARTS)),
        (BARE, (Way.CARRY,) * 4, (Way.COPY, Way.COPY, Way.COPY, Way.CARRY)),
    ],
)
def test_strict_takes_the_way_that_a_condition_holds_for(
    can: Capabilities, strict: tuple[Way, ...], check: tuple[Way, ...]
) -> None:
    for wanted, guard in ((strict, True), (check, False)):
        assert tuple(way(plan(can), source(*one), strict=guard) for one in (SMALL, MIDDLE, PARTED, HUGE)) == wanted


@pytest.mark.parametrize(
    ("can", "server", "strict", "small", "large"),
    [
        (AWS, True, True, "conditional CopyObject", "UploadPartCopy with conditional completion"),
        (MINIO, True, True, "GET and conditional PUT", "UploadPartCopy with conditional completion"),
        (MINIO, True, False, "look, then CopyObject", "UploadPartCopy with conditional completion"),
        (MINIO, False, True, "GET and conditional PUT: w", "GET and UploadPart with conditional completion"),
        (BARE, False, False, "look, then GET and PUT", "objects above 5 GiB cannot be moved"),
        (LOOSE_PARTS, True, False, "look, then CopyObject", "UploadPartCopy with look before completion"),
    ],
)
def test_the_status_tells_the_way(can: Capabilities, small: str, large: str, *, server: bool, strict: bool) -> None:
    assert mode(plan(can, server=server), strict=strict).startswith(small)
    assert large_mode(plan(can, server=server), strict=strict).startswith(large)
