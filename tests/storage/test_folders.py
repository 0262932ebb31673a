"""Listings are complete, and folders are copied whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from opabinia.storage.atomic import whole_file, whole_folder
from opabinia.storage.folders import download_folder, list_files, upload_folder
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import breaks_off, refuses, stalls
from tests.storage.limits import as_nobody, files_of_at_most

pytestmark = pytest.mark.e2e

FILES = {
    "part-00000.jsonl": b"zero",
    "part-00001.jsonl": b"",
    "deep/er/a b%20ü.bin": bytes(3000),
    "deep/.hidden": b"h",
    "deep/[x]*.txt": b"x",
}


def fill(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PATTERNS = ["", "/", "/deep", "/deep/", "/part-*.jsonl", "/*/*/*", "/**/*.bin", "/**", "/deep/.h*", "/part-00000.jsonl"]
EMPTY_PATTERNS = ["/part", "/nothing", "/part-0000[2-9].jsonl", "/*.txt"]


@pytest.mark.parametrize("pattern", PATTERNS + EMPTY_PATTERNS)
def test_a_bucket_is_listed_as_a_folder_is(bucket: Bucket, tmp_path: Path, pattern: str) -> None:
    fill(tmp_path / "f")
    for name, content in FILES.items():
        bucket.put(f"f/{name}", content)
    bucket.put("f2/other", b"")
    remote = [address.removeprefix(bucket.address("f/")) for address in list_files(bucket.address("f") + pattern)]
    local = [address.removeprefix(f"{tmp_path}/f/") for address in list_files(f"{tmp_path}/f{pattern}")]
    assert remote == local == sorted(local)
    assert bool(local) == (pattern in PATTERNS)


def test_a_whole_bucket_is_listed(bucket: Bucket) -> None:
    bucket.put("a", b"")
    bucket.put("b/c", b"")
    assert list_files(f"s3://{bucket.name}") == [bucket.address("a"), bucket.address("b/c")]
    assert list_files(f"s3://{bucket.name}/*") == [bucket.address("a")]


def test_a_listing_goes_on_to_its_last_page(bucket: Bucket) -> None:
    (backend,) = s3_backends["123456789012"].values()
    for number in range(2500):
        backend.put_object(bucket.name, f"k/{number:05d}", b"")
    bucket.proxy.inject(refuses(503, "SlowDown"), lambda exchange: "continuation-token" in exchange.path)
    assert list_files(bucket.address("k")) == [bucket.address(f"k/{number:05d}") for number in range(2500)]
    bucket.proxy.inject(refuses(400, "ExpiredToken"), lambda exchange: "continuation-token" in exchange.path)
    with pytest.raises(ValueError, match="the credentials have expired"):
        list_files(bucket.address("k"))


def test_a_listing_that_is_cut_off_is_asked_for_again(bucket: Bucket) -> None:
    for number in range(5):
        bucket.put(f"k/{number}", b"")
    bucket.proxy.inject(breaks_off(600))
    assert len(list_files(bucket.address("k"))) == 5


def test_what_marks_a_folder_is_not_a_file(bucket: Bucket) -> None:
    bucket.put("f/", b"")
    bucket.put("f/a", b"")
    assert list_files(bucket.address("f")) == [bucket.address("f/a")]


def test_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a"), whole_folder(tmp_path / "f") as folder:
        (folder / "b").touch()
        assert list_files(tmp_path) == []
    assert list_files(tmp_path) == [f"{tmp_path}/a", f"{tmp_path}/f/b"]


def test_links_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", {"a": b"1"})
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to(tmp_path / "elsewhere")
    assert list_files(tmp_path / "f") == [f"{tmp_path}/f/link/a"]


def test_a_folder_that_may_not_be_read_is_an_error_not_a_gap() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (fill(Path(name), {"closed/a": b"", "b": b""}) / "closed").chmod(0o000)
        for address in (name, f"{name}/*/a"):
            with pytest.raises(ValueError, match=r"access is denied .* give this user the right to list"), as_nobody():
                list_files(address)


def test_a_listing_that_is_denied_is_an_error(bucket: Bucket) -> None:
    bucket.proxy.inject(refuses(403, "AccessDenied"))
    with pytest.raises(ValueError, match="give these credentials the right to list there"):
        list_files(bucket.address("k"))
    with pytest.raises(ValueError, match="there is no such bucket"):
        list_files("s3://nowhere/k")


def test_a_folder_goes_up_and_comes_down_again(bucket: Bucket, tmp_path: Path) -> None:
    uploaded = upload_folder(fill(tmp_path / "f"), bucket.address("runs/1"))
    assert (
        uploaded == [bucket.address(f"runs/1/{name}") for name in sorted(FILES)] == list_files(bucket.address("runs/1"))
    )
    assert {key.removeprefix("runs/1/"): bucket.get(key) for key in bucket.list_keys()} == FILES
    download_folder(bucket.address("runs/1"), tmp_path / "g")
    assert contents(tmp_path / "g") == FILES


def test_broken_transfers_are_resumed(bucket: Bucket, tmp_path: Path) -> None:
    upload_folder(fill(tmp_path / "f"), bucket.address("f"))
    bucket.proxy.inject(breaks_off(1000), lambda exchange: ".bin" in exchange.path, times=2)
    bucket.proxy.inject(refuses(500, "InternalError"), lambda exchange: "part-" in exchange.path)
    download_folder(bucket.address("f"), tmp_path / "g")
    assert contents(tmp_path / "g") == FILES


def test_a_download_that_fails_leaves_no_folder(bucket: Bucket, tmp_path: Path) -> None:
    upload_folder(fill(tmp_path / "f"), bucket.address("f"))
    bucket.proxy.inject(refuses(400, "ExpiredToken"), lambda exchange: ".bin" in exchange.path)
    with pytest.raises(ValueError, match=r"\.bin: the credentials have expired"):
        download_folder(bucket.address("f"), tmp_path / "g")
    assert os.listdir(tmp_path) == ["f"]


def test_a_full_disk_leaves_no_folder(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("f/a", b"small")
    bucket.put("f/b", bytes(100_000))
    with pytest.raises(ValueError, match=r"/b: the disk is full"), files_of_at_most(50_000):
        download_folder(bucket.address("f"), tmp_path / "g")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_may_not_be_written_to_stays_as_it_is(bucket: Bucket) -> None:
    bucket.put("f/a", b"a")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        with (
            pytest.raises(ValueError, match=r"access is denied .* give this user the right to write there"),
            as_nobody(),
        ):
            download_folder(bucket.address("f"), Path(name) / "g")
        assert os.listdir(name) == []


DOWNLOAD = "import sys; from opabinia.storage.folders import download_folder; download_folder(sys.argv[1], sys.argv[2])"


def test_a_killed_download_leaves_no_folder_and_the_next_one_cleans_up(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("f/a", b"a")
    bucket.put("f/b", bytes(100_000))
    bucket.proxy.inject(stalls(50_000, seconds=3), lambda exchange: exchange.path.endswith("/b"))
    process = subprocess.Popen([sys.executable, "-c", DOWNLOAD, bucket.address("f"), str(tmp_path / "g")])
    while not any(exchange.path.endswith("/b") for exchange in bucket.proxy.seen):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.endswith(".partial")
    download_folder(bucket.address("f"), tmp_path / "g")
    assert os.listdir(tmp_path) == ["g"]
    assert contents(tmp_path / "g") == {"a": b"a", "b": bytes(100_000)}


@pytest.mark.parametrize("key", ["f//x", "f/a//b", "f/"])
def test_a_key_that_is_no_file_name_is_an_error(bucket: Bucket, tmp_path: Path, key: str) -> None:
    bucket.put(key, b"content")
    with pytest.raises(ValueError, match="is no name for a file below it"):
        download_folder(bucket.address("f"), tmp_path / "g")
    assert os.listdir(tmp_path) == []


def test_keys_that_cannot_be_together_in_a_folder_are_an_error(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("f/a", b"file")
    bucket.put("f/a/b", b"below it")
    with pytest.raises(ValueError, match=r"cannot write"):
        download_folder(bucket.address("f"), tmp_path / "g")
    assert os.listdir(tmp_path) == []


def test_nothing_to_copy_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"/f: there are no files below it; correct the address"):
        download_folder(bucket.address("f"), tmp_path / "g")
    with pytest.raises(ValueError, match=r"/f: there are no files below it"):
        upload_folder(tmp_path / "f", bucket.address("f"))
    assert os.listdir(tmp_path) == []


def test_a_folder_is_never_replaced(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("f/a", b"a")
    fill(tmp_path / "g", {"mine": b"mine"})
    with pytest.raises(ValueError, match="g: exists already"):
        download_folder(bucket.address("f"), tmp_path / "g")
    assert contents(tmp_path / "g") == {"mine": b"mine"}
