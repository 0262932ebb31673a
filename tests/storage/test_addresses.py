"""Addresses name one thing each, and say so when they name none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.storage.addresses import ObjectAddress, join_address, parse_address


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://b/a/k.jsonl", ObjectAddress("s3", "b", "a/k.jsonl")),
        ("gs://b/a/", ObjectAddress("gs", "b", "a/")),
        ("s3://b", ObjectAddress("s3", "b", "")),
        ("s3://b/", ObjectAddress("s3", "b", "")),
        ("s3://b/50%25 ü?x#y", ObjectAddress("s3", "b", "50%25 ü?x#y")),
        ("s3://b//k", ObjectAddress("s3", "b", "/k")),
        ("data/k", Path("data/k")),
        ("/data/k", Path("/data/k")),
        ("s3/k", Path("s3/k")),
        (Path("data"), Path("data")),
    ],
)
def test_what_an_address_names(text: str | Path, place: Path | ObjectAddress) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hf://b/k", "hf:// is not known; write s3://, gs:// or a local path"),
        ("file:///k", "file:// is not known"),
        ("S3://b/k", "S3:// is not known; write s3://"),
        ("s3:///k", "names no bucket; write s3://BUCKET/KEY"),
        ("s3://", "names no bucket"),
        ("s3://b/a/../k", r"holds \. or \.\. between slashes; write the key out"),
        ("s3://b/./k", r"holds \. or \.\. between slashes"),
        (Path("s3://b/k"), "s3:/b/k: .* lost a slash; pass it as text"),
        ("", "is no address"),
        ("a\0b", "is no address"),
    ],
)
def test_what_is_no_address(text: str | Path, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


@given(bucket=st.from_regex(r"[a-z0-9.-]{3,20}", fullmatch=True), key=st.text(min_size=1))
def test_an_address_is_written_as_it_is_read(bucket: str, key: str) -> None:
    if {".", ".."} & set(key.split("/")):
        return
    assert str(parse_address(f"gs://{bucket}/{key}")) == f"gs://{bucket}/{key}"


@pytest.mark.parametrize(
    ("folder", "joined"),
    [("s3://b", "s3://b/x/y"), ("s3://b/a", "s3://b/a/x/y"), ("s3://b/a/", "s3://b/a/x/y"), ("/d/", "/d/x/y")],
)
def test_files_below_a_folder(folder: str, joined: str) -> None:
    assert join_address(folder, "x/y") == joined


@pytest.mark.parametrize("relative", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\0b"])
def test_nothing_lies_outside_its_folder(relative: str) -> None:
    with pytest.raises(ValueError, match="is no name for a file below it; rename it"):
        join_address("/data", relative)
