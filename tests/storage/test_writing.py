"""What is written appears whole under its name, or not at all."""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
import tempfile
from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opabinia.storage.objects import copy_file, whole_object
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import (
    Condition,
    Fault,
    breaks_off,
    cuts,
    is_abort,
    is_completion,
    is_part,
    loses_answer,
    refuses,
)
from tests.storage.limits import as_nobody, files_of_at_most

pytestmark = pytest.mark.e2e

MEBIBYTE = 1 << 20

# The least that S3 accepts for a part that is not the last.
LEAST_PART = 5 * MEBIBYTE
LARGE = random.Random(0).randbytes(LEAST_PART + 1000)


@pytest.fixture
def least_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opabinia.storage.writing.PART_BYTES", LEAST_PART)


def write(address: str | Path, content: bytes, piece: int = MEBIBYTE) -> None:
    with whole_object(address) as handle:
        for start in range(0, len(content), piece):
            handle.write(content[start : start + piece])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=500), piece=st.integers(1, 600))
def test_what_was_written_is_stored(bucket: Bucket, content: bytes, piece: int) -> None:
    write(bucket.address("a/b c%20+ü?.bin"), content, piece)
    assert bucket.get("a/b c%20+ü?.bin") == content


@pytest.mark.parametrize("length", [LEAST_PART - 1, LEAST_PART, len(LARGE)])
def test_large_objects_go_in_parts(bucket: Bucket, least_parts: None, length: int) -> None:
    write(bucket.address("k"), LARGE[:length], piece=3 * MEBIBYTE + 1)
    assert bucket.get("k") == LARGE[:length]
    assert bucket.unfinished() == []
    sent = [len(exchange.body) for exchange in bucket.proxy.seen if exchange.method == "PUT"]
    assert sum(sent) == length
    assert max(sent) <= LEAST_PART


def test_parts_grow_so_that_ten_thousand_hold_a_terabyte(
    bucket: Bucket, least_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opabinia.storage.writing.PARTS_OF_A_SIZE", 1)
    write(bucket.address("k"), 3 * LARGE)
    assert bucket.get("k") == 3 * LARGE
    sent = [len(exchange.body) for exchange in bucket.proxy.seen if exchange.method == "PUT"]
    assert sent == [LEAST_PART, 2 * LEAST_PART, 3000]


def test_every_request_carries_the_md5_of_its_bytes(bucket: Bucket, least_parts: None) -> None:
    write(bucket.address("k"), LARGE)
    write(bucket.address("small"), b"abc")
    sent = [exchange for exchange in bucket.proxy.seen if exchange.method == "PUT"]
    assert len(sent) == 3
    for exchange in sent:
        assert base64.b64decode(exchange.headers["content-md5"]) == md5(exchange.body).digest()


@pytest.mark.parametrize("written", [0, 10, len(LARGE)])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_former_object_and_no_upload(
    bucket: Bucket, least_parts: None, written: int, error: type[BaseException]
) -> None:
    bucket.put("k", b"old")
    with pytest.raises(error), whole_object(bucket.address("k")) as handle:
        handle.write(LARGE[:written])
        raise error
    assert bucket.get("k") == b"old"
    assert bucket.unfinished() == []


@pytest.mark.parametrize("where", [is_part(2), is_completion], ids=["part", "completion"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuses(403, "AccessDenied"), "access is denied; give these credentials the right to write there"),
        (refuses(400, "ExpiredToken"), "the credentials have expired; renew them"),
        (refuses(500, "InternalError"), "the server kept failing"),
        (refuses(507, "XMinioStorageFull"), "the server's disk is full; free space"),
        (cuts, "the server does not answer"),
    ],
    ids=["revoked", "expired", "failing", "full", "reset"],
)
def test_a_large_write_that_fails_leaves_nothing(
    bucket: Bucket, least_parts: None, monkeypatch: pytest.MonkeyPatch, where: Condition, fault: Fault, reason: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.proxy.inject(fault, where, times=9)
    with pytest.raises(ValueError, match=rf"^s3://\S+/k: {reason}"):
        write(bucket.address("k"), LARGE)
    assert bucket.list_keys() == []
    assert bucket.unfinished() == []


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        (is_part(1), refuses(500, "InternalError")),
        (is_part(2), cuts),
        (is_part(2), loses_answer),
        (is_completion, refuses(503, "SlowDown")),
        (is_completion, cuts),
        (is_completion, loses_answer),
        (is_completion, breaks_off(5)),
    ],
    ids=["part fails", "part cut", "part unheard", "end fails", "end cut", "end unheard", "end half heard"],
)
def test_a_passing_failure_is_overcome(bucket: Bucket, least_parts: None, where: Condition, fault: Fault) -> None:
    bucket.proxy.inject(fault, where)
    write(bucket.address("k"), LARGE)
    assert bucket.get("k") == LARGE
    assert bucket.unfinished() == []


def test_a_completion_that_took_effect_unheard_is_recognised(bucket: Bucket, least_parts: None) -> None:
    bucket.proxy.inject(loses_answer, is_completion)
    bucket.proxy.inject(refuses(404, "NoSuchUpload"), is_completion)
    write(bucket.address("k"), LARGE)
    assert bucket.get("k") == LARGE


def test_a_completion_that_did_not_take_effect_is_not(bucket: Bucket, least_parts: None) -> None:
    bucket.put("k", b"old")
    bucket.proxy.inject(refuses(404, "NoSuchUpload"), is_completion)
    with pytest.raises(ValueError, match="the server lost the parts that were sent; write it again"):
        write(bucket.address("k"), LARGE)
    assert bucket.get("k") == b"old"


def test_an_upload_that_cannot_be_removed_hides_not_why_it_failed(bucket: Bucket, least_parts: None) -> None:
    bucket.proxy.inject(
        refuses(403, "AccessDenied"), lambda exchange: is_part(2)(exchange) or is_abort(exchange), times=9
    )
    with pytest.raises(ValueError, match="access is denied; give these credentials the right to write there"):
        write(bucket.address("k"), LARGE)
    assert bucket.list_keys() == []


def test_a_completion_never_heard_of_is_an_error_about_a_whole_object(
    bucket: Bucket, least_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.proxy.inject(loses_answer, is_completion)
    with pytest.raises(ValueError, match="the server does not answer"):
        write(bucket.address("k"), LARGE)
    assert bucket.get("k") == LARGE


KILLED = """
import os, signal, sys
from opabinia.storage import objects, writing
writing.PART_BYTES = 5 << 20
with objects.whole_object(sys.argv[1]) as handle:
    handle.write(bytes(6 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_former_object(bucket: Bucket) -> None:
    bucket.put("k", b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, bucket.address("k")])
    assert done.returncode == -signal.SIGKILL
    assert bucket.get("k") == b"old"
    assert sum(is_part(1)(exchange) for exchange in bucket.proxy.seen) == 1


MEASURED = """
import resource, sys
from opabinia.storage import objects, writing
writing.PART_BYTES = 5 << 20
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
def copy(source, target): objects.copy_file(source, target)
with objects.whole_object(sys.argv[1] + "/small") as handle:
    handle.write(bytes(6 << 20))
copy(sys.argv[1] + "/small", sys.argv[1] + "/copy")
before = peak()
piece = bytes(1 << 20)
with objects.whole_object(sys.argv[1] + "/large") as handle:
    for _ in range(40):
        handle.write(piece)
copy(sys.argv[1] + "/large", sys.argv[1] + "/copy")
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_object(bucket: Bucket) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED, f"s3://{bucket.name}"], capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) < 20, "MiB more for 40 MiB than for 6"


def test_a_full_disk_leaves_the_former_file(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("k", bytes(100_000))
    (tmp_path / "k").write_bytes(b"old")
    with (
        pytest.raises(ValueError, match=r"/k: the disk is full \(File too large\); free space and run again"),
        files_of_at_most(50_000),
    ):
        copy_file(bucket.address("k"), tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["k"]


def test_a_revoked_permission_leaves_the_former_file() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "k").write_bytes(b"old")
        folder.chmod(0o555)
        refused = r"/k: access is denied \(Permission denied: .*\); give this user the right to write there"
        with pytest.raises(ValueError, match=refused), as_nobody():
            write(folder / "k", b"new")
        (folder / "k").chmod(0o000)
        with pytest.raises(ValueError, match="give this user the right to read there"), as_nobody():
            copy_file(folder / "k", folder / "other")
        folder.chmod(0o755)
        assert (folder / "k").read_bytes() == b"old"
        assert os.listdir(folder) == ["k"]


def test_errors_of_the_writers_own_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), whole_object(tmp_path / "k"):
        (tmp_path / "other").read_bytes()
    assert os.listdir(tmp_path) == []


def test_a_handle_is_of_no_use_after_its_block(bucket: Bucket) -> None:
    with whole_object(bucket.address("k")) as handle:
        handle.write(b"abc")
        handle.close()
        with pytest.raises(ValueError, match="closed; write before the block ends"):
            handle.write(b"def")
    assert bucket.get("k") == b"abc"


@pytest.mark.parametrize("address", ["s3://b", "s3://b/", "s3://b/folder/"])
def test_a_folder_is_not_a_file(address: str) -> None:
    with pytest.raises(ValueError, match=f"{address}: names no object; add its key"), whole_object(address):
        raise AssertionError("not reached")
