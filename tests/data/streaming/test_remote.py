"""Shards and pictures in a bucket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from opabinia.data.streaming.local_copies import LIMIT_VARIABLE, local_copy
from tests.data.specimens import conversation, save_picture
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import breaks_off, is_get, refuses

pytestmark = pytest.mark.e2e

STREAM = """
import json, logging, sys
import ray
from opabinia.data.audit import audit_source
from opabinia.data.source import SourceConfig
from opabinia.data.streaming.batching import PlainBatches
from opabinia.data.streaming.plan import Share, StreamPlan
from opabinia.data.streaming.stream import stream_batches
from opabinia.data.trainable import TextEncoding
from pathlib import Path

data, tokenizer, audits = sys.argv[1:]
ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
encoding = TextEncoding(tokenizer, max_length=64)
audited = audit_source("remote", SourceConfig(shards=f"{data}/shards", images=f"{data}/images"), encoding, Path(audits))
plan = StreamPlan(audited, 0, 4, PlainBatches(), visual_tokens=4)
batches = [one.parts[0].batch for one in stream_batches(plan, encoding, Share(0, 1), steps=6, pad_id=1)]
ids = [one.input_ids[row][mask][-2].item() for one in batches for row, mask in enumerate(one.attention_mask)]
print(json.dumps({"last": ids, "images": [image for one in batches for image in one.images], "counts": audited.counts}))
"""


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that shards are copied to."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"opabinia-shards-{os.getuid()}"


def test_a_whole_audit_and_stream_of_a_bucket(
    bucket: Bucket, copies: Path, tmp_path: Path, tokenizer_folder: str
) -> None:
    for shard in range(3):
        records = [conversation(8 * shard + i, "a/1.png" if i % 2 else None) for i in range(8)]
        bucket.put(f"set/shards/{shard}.jsonl", "".join(json.dumps(one) + "\n" for one in records).encode())
    bucket.put("set/shards/notes.txt", b"not data")
    bucket.put("set/images/a/1.png", save_picture(tmp_path / "1.png").read_bytes())
    command = [sys.executable, "-c", STREAM, bucket.address("set"), tokenizer_folder, str(tmp_path / "audits")]
    bucket.proxy.inject(breaks_off(200), is_get, times=2)
    # Ray's sockets need a short path.
    environment = {**os.environ, "RAY_TMPDIR": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["counts"] == [8, 8, 8]
    assert len(set(found["last"])) == 24
    assert found["images"] == [bucket.address("set/images/a/1.png")] * 12


def test_a_shard_is_copied_once_and_whole(bucket: Bucket, copies: Path) -> None:
    content = os.urandom(3 * 2**20)
    bucket.put("a.jsonl", content)
    bucket.proxy.inject(breaks_off(2**20), is_get, times=2)
    copy = local_copy(bucket.address("a.jsonl"), len(content))
    assert copy.read_bytes() == content
    asked = len(bucket.proxy.ranges())
    assert local_copy(bucket.address("a.jsonl"), len(content)) == copy
    assert len(bucket.proxy.ranges()) == asked


def test_a_shard_that_cannot_be_had_in_full_leaves_no_copy(bucket: Bucket, copies: Path) -> None:
    bucket.put("a.jsonl", b"x" * 100)
    bucket.proxy.inject(refuses(403, "AccessDenied"), is_get, times=9)
    with pytest.raises(ValueError, match=r"a\.jsonl: access is denied"):
        local_copy(bucket.address("a.jsonl"), 100)
    assert not list(copies.glob("*"))


def test_a_shard_that_changed_its_size_is_refused(bucket: Bucket, copies: Path) -> None:
    bucket.put("a.jsonl", b"x" * 100)
    with pytest.raises(ValueError, match=r"a\.jsonl: had 90 bytes when it was audited and has 100 now"):
        local_copy(bucket.address("a.jsonl"), 90)


def test_the_copies_used_longest_ago_make_room(bucket: Bucket, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, str(250 / 2**30))
    made = list[Path]()
    for number, name in enumerate("abc"):
        bucket.put(name, name.encode() * 100)
        made.append(local_copy(bucket.address(name), 100))
        os.utime(made[-1], (number, number))
        if name == "b":
            os.utime(made[0], (10, 10))
    assert [copy.exists() for copy in made] == [True, False, True]
