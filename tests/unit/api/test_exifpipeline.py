"""What the spec of an ExifPipeline refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bucketops_api.v1alpha1.exifpipeline import PipelineSpec

PLAIN: dict[str, Any] = {
    "source": {"bucket": "bucket-a"},
    "destination": {"bucket": "bucket-b"},
    "quarantine": {"bucket": "bucket-q"},
    "events": {"minio": {}},
}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"destination": {"bucket": "bucket-a", "prefix": "clean/"}}, "would be cleaned again"),
        ({"quarantine": None}, "onNotJpeg: Quarantine needs a place"),
        ({"quarantine": {"bucket": "bucket-b", "prefix": "q/"}}, "quarantine overlaps"),
        ({"events": {}}, "name one of minio"),
        ({"events": {"minio": {}, "sqs": {"queueUrl": "https://sqs.x/1/q"}}}, "name one of minio"),
        ({"strip": {"orientation": "Turn"}}, "'Keep', 'Drop' or 'Rotate'"),
        ({"strip": {"hdrGainMap": "Rotate"}}, "'Keep' or 'Drop'"),
        ({"match": {"extensions": ["jpg"]}}, "such as .jpg"),
        ({"sweep": {"schedule": "now and then"}}, "write a cron expression"),
        ({"source": {"bucket": "bucket-a", "prefix": ".bucketops/x/"}}, "lies under .bucketops/"),
    ],
)
def test_what_cannot_go_well_is_refused_with_what_to_write_instead(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PipelineSpec.model_validate(PLAIN | spec)


@pytest.mark.parametrize("orientation", ["Keep", "Drop", "Rotate"])
@pytest.mark.parametrize("gain_map", ["Keep", "Drop"])
def test_every_choice_of_the_look_is_fine(orientation: str, gain_map: str) -> None:
    look = {"orientation": orientation, "hdrGainMap": gain_map}
    assert PipelineSpec.model_validate(PLAIN | {"strip": look}).strip.orientation == orientation


def test_one_bucket_with_separate_prefixes_is_fine() -> None:
    places = {"source": {"bucket": "x1x", "prefix": "in/"}, "destination": {"bucket": "x1x", "prefix": "out/"}}
    assert PipelineSpec.model_validate(PLAIN | places)
