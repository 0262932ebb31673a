from __future__ import annotations

import gzip
import random
from pathlib import Path

import pyarrow as pa
import pytest

from opabinia.data.preparation.compression import open_plain

CONTENT = b"".join(b"%d\n" % random.Random(7).getrandbits(64) for _ in range(1)) + random.Random(8).randbytes(300_000)
GZIP, ZSTD = gzip.compress(CONTENT), pa.compress(CONTENT, codec="zstd", asbytes=True)
SKIPPABLE = b"\x53\x2a\x4d\x18\x04\0\0\0abcd"


def read(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    with open_plain(str(path)) as stream:
        return stream.read()


@pytest.mark.parametrize("packed", [CONTENT, GZIP, ZSTD, SKIPPABLE + ZSTD], ids=["plain", "gzip", "zstd", "pzstd"])
def test_the_bytes_tell_how_a_file_is_compressed_and_the_name_does_not_matter(packed: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", packed) == CONTENT


@pytest.mark.parametrize("packed", [GZIP, ZSTD], ids=["gzip", "zstd"])
def test_files_that_were_compressed_apart_and_joined_are_read_to_their_end(packed: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "a", packed * 3) == CONTENT * 3


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99999])
@pytest.mark.parametrize("packed", [GZIP, ZSTD], ids=["gzip", "zstd"])
def test_compressed_data_that_end_early_are_an_error_and_not_a_shorter_file(
    packed: bytes, share: float, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"a: .*fetch it again$"):
        read(tmp_path / "a", packed[: int(len(packed) * share)])


@pytest.mark.parametrize("packed", [GZIP, ZSTD], ids=["gzip", "zstd"])
def test_rubbish_after_compressed_data_is_an_error(packed: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a: cannot be read to its end \(.+\); fetch it again$"):
        read(tmp_path / "a", packed + b"rubbish")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"absent\.json\.gz: there is no such file"),
        open_plain(str(tmp_path / "absent.json.gz")),
    ):
        pass
