"""Published files, prepared sets and pictures in a bucket."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from opabinia.data.preparation.converting import json_to_jsonl
from opabinia.data.preparation.index import read_index, read_rows
from opabinia.data.preparation.reading import read_records
from opabinia.data.preparation.settings import LimitsConfig, ShardingConfig
from opabinia.data.preparation.sharding import write_prepared
from opabinia.data.preparation.validation import check_shard
from opabinia.storage.folders import upload_folder
from tests.data.preparation.published import MIXED, PACKINGS, as_array, as_jsonl
from tests.data.specimens import save_picture
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import is_get, refuses

pytestmark = pytest.mark.e2e

LIMITS = LimitsConfig()


def test_published_files_are_read_from_a_bucket_whatever_their_form(bucket: Bucket) -> None:
    for packing, pack in PACKINGS.items():
        bucket.put(f"published/a.json{packing}", pack(as_array(MIXED)))
        bucket.put(f"published/b.jsonl{packing}", pack(as_jsonl(MIXED)))
    bucket.put("published/1.jpg", b"no data")
    found = list(read_records([bucket.address("published")]))
    assert [record for _, _, record in found] == MIXED * 6
    assert set(Counter(file for file, _, _ in found).values()) == {len(MIXED)}


def test_files_are_converted_within_a_bucket(bucket: Bucket) -> None:
    bucket.put("a.json.gz", PACKINGS[".gz"](as_array(MIXED)))
    json_to_jsonl(bucket.address("a.json.gz"), bucket.address("a.jsonl"))
    assert bucket.get("a.jsonl") == as_jsonl(MIXED)


def test_a_prepared_set_in_a_bucket_is_read_by_row(bucket: Bucket, tmp_path: Path) -> None:
    write_prepared(MIXED, tmp_path / "data", ShardingConfig(shard_size=3))
    upload_folder(tmp_path / "data", bucket.address("data"))
    assert read_index(bucket.address("data")) == read_index(tmp_path / "data")
    assert list(read_rows(bucket.address("data"), [6, 0, 4])) == [MIXED[6], MIXED[0], MIXED[4]]


def test_pictures_in_a_bucket_are_looked_at(bucket: Bucket, tmp_path: Path) -> None:
    write_prepared(MIXED, tmp_path / "data", ShardingConfig())
    bucket.put("images/0.png", save_picture(tmp_path / "0.png").read_bytes())
    bucket.put("images/coco/1.jpg", b"no picture")
    found = check_shard(str(tmp_path / "data"), bucket.address("images"), LIMITS, 0)
    assert [(line["row"], line["reason"]) for line in found.rejected] == [
        (0, "image 'coco/1.jpg' is not an image"),
        (5, "image '1.png' is missing"),
    ]


def test_a_server_that_fails_is_an_error_and_no_reason_to_reject_a_record(bucket: Bucket, tmp_path: Path) -> None:
    write_prepared(MIXED, tmp_path / "data", ShardingConfig())
    for name in ("0.png", "1.png", "coco/1.jpg"):
        bucket.put(f"images/{name}", save_picture(tmp_path / "0.png").read_bytes())
    bucket.proxy.inject(refuses(403, "AccessDenied"), is_get, times=100)
    with pytest.raises(ValueError, match="access is denied"):
        check_shard(str(tmp_path / "data"), bucket.address("images"), LIMITS, 0)
