"""What is read from a bucket is complete and of one version, or there is a clear error."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opabinia.storage.objects import exists, open_read, read_bytes, size
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import (
    Fault,
    breaks_off,
    first,
    ignores_conditions,
    ignores_range,
    is_get,
    refuses,
    resets,
    shortens,
    stalls,
    trickles,
)

pytestmark = pytest.mark.e2e

CONTENT = bytes(range(256)) * 40


def read_all(address: str | Path) -> bytes:
    with open_read(address) as stream:
        return stream.read()


@pytest.mark.parametrize("content", [b"", b"a", CONTENT])
def test_what_was_stored_is_read(bucket: Bucket, content: bytes) -> None:
    bucket.put("a/b c%20+ü?.bin", content)
    address = bucket.address("a/b c%20+ü?.bin")
    assert read_all(address) == read_bytes(address) == content
    assert size(address) == len(content)
    assert exists(address)


def test_the_stream_behaves_as_a_file_does(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("k", CONTENT)
    (tmp_path / "k").write_bytes(CONTENT)
    with open_read(bucket.address("k")) as remote, open_read(tmp_path / "k") as local:
        for stream_do in (
            lambda stream: stream.read(10),
            lambda stream: stream.seek(-5, os.SEEK_END),
            lambda stream: stream.read(),
            lambda stream: stream.seek(100),
            lambda stream: stream.seek(20, os.SEEK_CUR),
            lambda stream: (stream.tell(), stream.read(3)),
            lambda stream: stream.seek(10**6),
            lambda stream: stream.read(),
            lambda stream: stream.seek(0),
            lambda stream: list(io.TextIOWrapper(stream, "latin-1", newline="\n")),
        ):
            assert stream_do(remote) == stream_do(local)


@pytest.mark.parametrize(
    "fault",
    [breaks_off(0), breaks_off(5000), resets(0), resets(5000), breaks_off(len(CONTENT) - 1)],
    ids=["no body", "half a body", "reset before the body", "reset in the body", "all but a byte"],
)
def test_a_broken_body_is_resumed(bucket: Bucket, fault: Fault) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(fault, is_get, times=2)
    assert read_all(bucket.address("k")) == CONTENT
    assert len(bucket.proxy.seen) > 1


def test_only_the_missing_bytes_are_asked_for_again(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(100))
    bucket.proxy.inject(breaks_off(50))
    assert read_all(bucket.address("k")) == CONTENT
    assert bucket.proxy.ranges() == ["bytes=0-", "bytes=100-", "bytes=150-"]


def test_a_body_that_keeps_breaking_off_is_an_error_that_counts_what_is_missing(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(10), times=99)
    with pytest.raises(
        ValueError, match=r"^s3://\S+/k: 10210 of 10240 bytes are missing: it broke off 3 times .* again$"
    ):
        read_all(bucket.address("k"))
    assert len(bucket.proxy.seen) == 3


def test_breaks_that_are_far_apart_are_not_counted_together(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opabinia.storage.reading.PROGRESS_BYTES", 2000)
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(2000), times=99)
    assert read_all(bucket.address("k")) == CONTENT


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), breaks=st.lists(st.integers(0, 300), max_size=2), piece=st.integers(1, 400))
def test_any_bytes_broken_off_anywhere_are_read_as_written(
    bucket: Bucket, content: bytes, breaks: list[int], piece: int
) -> None:
    bucket.proxy.clear()
    bucket.put("k", content)
    for after in breaks:
        bucket.proxy.inject(breaks_off(after))
    with open_read(bucket.address("k")) as stream:
        assert b"".join(iter(lambda: stream.read(piece), b"")) == content


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1, max_size=300), breaks=st.lists(st.integers(0, 40), min_size=3, max_size=5))
def test_three_breaks_give_all_bytes_or_an_error(bucket: Bucket, content: bytes, breaks: list[int]) -> None:
    bucket.proxy.clear()
    bucket.put("k", content)
    for after in breaks:
        bucket.proxy.inject(breaks_off(after))
    if len(content) <= sum(breaks[:3]):
        assert read_all(bucket.address("k")) == content
    else:
        with pytest.raises(ValueError, match="bytes are missing"):
            read_all(bucket.address("k"))


def test_what_came_before_a_silence_is_kept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPABINIA_STORAGE_TIMEOUT", "0.5")
    bucket.put("k", 30 * CONTENT)
    bucket.proxy.inject(stalls(200_000, seconds=2))
    assert read_all(bucket.address("k")) == 30 * CONTENT
    first_range, second_range = bucket.proxy.ranges()
    assert first_range == "bytes=0-"
    assert 100_000 < int(second_range.removeprefix("bytes=").rstrip("-")) <= 200_000


def test_lasting_silence_is_an_error(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPABINIA_STORAGE_TIMEOUT", "0.3")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket.put("k", CONTENT)
    bucket.proxy.inject(stalls(0, seconds=2), times=9)
    missing = r"10240 of 10240 bytes are missing: it broke off 2 times \(no byte came for 0.3 s\); check the network"
    with pytest.raises(ValueError, match=missing):
        read_all(bucket.address("k"))


def test_slow_is_not_silent(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPABINIA_STORAGE_TIMEOUT", "0.5")
    bucket.put("k", CONTENT)
    bucket.proxy.inject(trickles(piece=2048, pause=0.15))
    assert read_all(bucket.address("k")) == CONTENT
    assert len(bucket.proxy.seen) == 1


@pytest.mark.parametrize("replacement", [CONTENT[::-1], CONTENT + b"more", b""], ids=["same size", "longer", "empty"])
def test_an_object_that_changes_meanwhile_is_an_error(bucket: Bucket, replacement: bytes) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(100))
    bucket.proxy.inject(first(lambda: bucket.put("k", replacement)))
    with pytest.raises(
        ValueError, match=r"s3://\S+/k: it changed while it was being read; read it again from its start"
    ):
        read_all(bucket.address("k"))


@pytest.mark.parametrize(
    ("replacement", "said"),
    [(CONTENT[::-1], "it changed while"), (CONTENT + b"more", "it changed while"), (b"", "it ends before byte 100")],
    ids=["same size", "longer", "empty"],
)
def test_a_change_is_noticed_without_the_servers_help(bucket: Bucket, replacement: bytes, said: str) -> None:
    bucket.put("k", CONTENT)
    with open_read(bucket.address("k")) as stream:
        bucket.proxy.inject(ignores_conditions, lambda exchange: "if-match" in exchange.headers)
        stream.seek(100)
        bucket.put("k", replacement)
        with pytest.raises(ValueError, match=said):
            stream.read()


def test_an_object_that_is_deleted_meanwhile_is_an_error(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(100))
    bucket.proxy.inject(first(lambda: bucket.client.delete_object(Bucket=bucket.name, Key="k")))
    with pytest.raises(ValueError, match="there is no such object"):
        read_all(bucket.address("k"))


def test_a_server_that_sends_the_start_again_is_found_out(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(100))
    bucket.proxy.inject(ignores_range)
    with pytest.raises(ValueError, match="told no size, ETag or range as asked"):
        read_all(bucket.address("k"))


def test_a_body_announced_too_short_is_completed(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(shortens(by=1000))
    assert read_all(bucket.address("k")) == CONTENT


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown")])
def test_a_server_that_fails_is_asked_again(bucket: Bucket, status: int, code: str) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(refuses(status, code))
    assert read_all(bucket.address("k")) == CONTENT
    assert len(bucket.proxy.seen) == 2


def test_a_server_that_keeps_failing_is_an_error(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket.put("k", CONTENT)
    bucket.proxy.inject(refuses(503, "SlowDown"), times=9)
    with pytest.raises(ValueError, match=r"s3://\S+/k: the server kept failing \(SlowDown\); run again later"):
        read_all(bucket.address("k"))
    assert len(bucket.proxy.seen) == 2


def test_credentials_that_expire_in_the_middle_are_an_error(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(100))
    bucket.proxy.inject(refuses(400, "ExpiredToken"), times=9)
    with pytest.raises(ValueError, match=r"s3://\S+/k: the credentials have expired; renew them .* \(ExpiredToken\)"):
        read_all(bucket.address("k"))
    assert len(bucket.proxy.seen) == 2


def test_a_stretch_is_asked_for_as_such(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("k", CONTENT)
    (tmp_path / "k").write_bytes(CONTENT)
    for address in (bucket.address("k"), tmp_path / "k"):
        assert read_bytes(address, 10, 20) == CONTENT[10:20]
        assert read_bytes(address, 10_000) == CONTENT[10_000:]
        assert read_bytes(address, 7, 7) == b""
    assert bucket.proxy.ranges() == ["bytes=10-19", "bytes=10000-"]


def test_a_broken_stretch_is_resumed(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    bucket.proxy.inject(breaks_off(4))
    assert read_bytes(bucket.address("k"), 10, 20) == CONTENT[10:20]
    assert bucket.proxy.ranges() == ["bytes=10-19", "bytes=14-19"]


@pytest.mark.parametrize(("start", "stop"), [(10_000, 10_241), (10_240, 10_241), (20_000, None), (0, 10_241)])
def test_a_stretch_beyond_the_end_is_an_error_not_fewer_bytes(
    bucket: Bucket, tmp_path: Path, start: int, stop: int | None
) -> None:
    bucket.put("k", CONTENT)
    (tmp_path / "k").write_bytes(CONTENT)
    for address in (bucket.address("k"), tmp_path / "k"):
        with pytest.raises(ValueError, match=r"/k: it ends before byte \d+; ask for bytes that it has"):
            read_bytes(address, start, stop)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (5, 4)])
def test_a_stretch_that_is_none_is_refused(tmp_path: Path, start: int, stop: int | None) -> None:
    with pytest.raises(ValueError, match="the lower one first"):
        read_bytes(tmp_path / "k", start, stop)


def test_what_is_missing_is_told_apart_from_what_cannot_be_seen(bucket: Bucket, tmp_path: Path) -> None:
    assert not exists(bucket.address("k"))
    assert not exists(tmp_path / "k")
    bucket.proxy.inject(refuses(403, "AccessDenied"), times=2)
    for look in (exists, size):
        with pytest.raises(ValueError, match="access is denied; give these credentials the right to read there"):
            look(bucket.address("k"))
    for look in (size, read_bytes, read_all):
        with pytest.raises(ValueError, match=r"^s3://\S+/k: there is no such object; write it first or correct"):
            look(bucket.address("k"))
        with pytest.raises(ValueError, match=r"/k: there is no such file; write it first or correct"):
            look(tmp_path / "k")
    with pytest.raises(ValueError, match=r"^s3://nowhere/k: there is no such bucket; create it or correct"):
        exists("s3://nowhere/k")


def test_closing_early_leaves_no_connection_behind(bucket: Bucket) -> None:
    bucket.put("k", CONTENT)
    read_all(bucket.address("k"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with open_read(bucket.address("k")) as stream:
            stream.read(1)
    assert len(os.listdir("/proc/self/fd")) <= before + 10
