"""Checking every record and picture of a prepared data set, shards in parallel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrays import load_array, save_array
from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.preparation.checks import Kind, Refused, check_record
from opabinia.data.preparation.examining import PictureFolder
from opabinia.data.preparation.index import open_index, shard_name
from opabinia.data.preparation.json_text import parse_object
from opabinia.data.preparation.page import write_page
from opabinia.data.preparation.reading import RejectedLine, read_items
from opabinia.data.preparation.report import QUARANTINE_NAME, Report, write_report
from opabinia.data.preparation.settings import LimitsConfig
from opabinia.data.preparation.sharding import UNREADABLE_NAME
from opabinia.data.preparation.tally import NO_RECORD, Tally, tally_of
from opabinia.data.records import RecordError
from opabinia.data.source_names import record_source
from opabinia.storage.addresses import absolute_address, join_address, parse_address
from opabinia.storage.atomic import whole_folder, whole_text
from opabinia.storage.objects import exists, open_read

ROWS_NAME = "rows.npy"

_REJECTED = pa.struct(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("row", pa.int64()),
        ("id", pa.string()),
    ]
)
_FINDINGS = pa.schema(
    [("error", pa.string()), ("records", pa.int64()), ("tally", pa.string()), ("rejected", pa.list_(_REJECTED))]
)


@dataclass(slots=True)
class ShardFindings:
    """What a shard holds. rejected: file, line, kind, reason, row (from 0, within the shard) and id of each record not to be used."""

    tally: Tally = field(default_factory=Tally)
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    records: int = 0


def validate(folder: str | Path, images: str | Path | None, limits: LimitsConfig, out: str | Path) -> Report:
    """Check a prepared data set and write report.json, report.html, quarantine.jsonl and rows.npy into the new folder `out`.

    images: the folder or address that image paths are relative to, or None where pictures are not looked at. Lines that were
    unreadable when the set was written are reported with the others. rows.npy holds the rows of the index that can be used, for
    `sound_rows`. Memory does not grow with the data set, but for one byte a record and one number a source.

    Ray must be running. Raises ValueError when there is no prepared data set, no images folder, or when `out` exists.
    """
    data, pictures = absolute_address(folder), None if images is None else _images(images)
    with open_index(data) as reader:
        shards: int = reader.num_record_batches
    with whole_folder(out) as unfinished:
        with whole_text(unfinished / QUARANTINE_NAME) as quarantine:
            tally = _report_unreadable(data, quarantine)
            sound = _gather(_in_parallel(data, pictures, limits, shards), tally, quarantine)
        save_array(sound, unfinished / ROWS_NAME)
        report = Report(
            data=data, images=pictures, limits=limits, records=tally.records.total(), accepted=len(sound), tally=tally
        )
        write_report(report, unfinished)
        write_page(report, unfinished)
    return report


def sound_rows(out: str | Path) -> NDArray[np.int64]:
    """[accepted], the rows of the index that a validation into `out` found nothing wrong with, rising."""
    return load_array(Path(out) / ROWS_NAME)


def check_shard(folder: str, images: str | None, limits: LimitsConfig, shard: int) -> ShardFindings:
    """Check one shard of a prepared data set, pictures that records share once. Raises ValueError where it is not as indexed."""
    with open_index(folder) as reader:
        rows: list[dict[str, Any]] = reader.get_batch(shard).select(["file", "line", "id", "source"]).to_pylist()
    pictures = None if images is None else PictureFolder(images, limits)
    address, findings = join_address(folder, shard_name(shard)), ShardFindings()
    for place, (number, content) in enumerate(read_items(address)):
        if place >= len(rows):
            break
        row = {"file": rows[place]["file"] or address, "line": rows[place]["line"] or number, "id": rows[place]["id"]}
        try:
            _check(content, pictures, limits, findings.tally)
        except Refused as refused:
            findings.tally.add_rejected(rows[place]["source"], refused.kind)
            findings.rejected.append(row | {"kind": refused.kind, "reason": str(refused), "row": place})
        findings.records += 1
    else:
        if findings.records == len(rows):
            return findings
    raise ValueError(f"{address}: does not hold the {len(rows)} records of the index; prepare the data set again")


def _check(content: bytes | RejectedLine, pictures: PictureFolder | None, limits: LimitsConfig, tally: Tally) -> None:
    """Count a record that can be used, with its pictures. Raises Refused for another."""
    record = _record(content)
    names = check_record(record, limits)
    seen = [pictures.examine(name) for name in names] if pictures else []
    texts: list[str] = [turn["value"] for turn in record["conversations"]]
    words = sum(len(text.split()) for text in texts)
    tally.add_accepted(record_source(record), words=words, turns=len(texts), images=len(names))
    for picture in seen:
        tally.add_picture(picture.width, picture.height, picture.format)


def _record(content: bytes | RejectedLine) -> dict[str, Any]:
    unreadable: Kind = "unreadable"
    if isinstance(content, RejectedLine):
        raise Refused(unreadable, content.reason)
    try:
        return parse_object(content)
    except RecordError as error:
        raise Refused(unreadable, str(error)) from None


def _in_parallel(folder: str, images: str | None, limits: LimitsConfig, shards: int) -> Iterator[Mapping[str, Any]]:
    """The findings of each shard, in order, as rows of _FINDINGS."""
    from opabinia.data.pipeline import cluster_cpus, ordered_dataset

    items = [{"shard": shard} for shard in range(shards)]
    dataset: Any = ordered_dataset(
        items, partial(_as_table, folder, images, limits), at_once=min(shards, cluster_cpus())
    )
    return dataset.iter_rows()


def _as_table(folder: str, images: str | None, limits: LimitsConfig, item: Mapping[str, Any]) -> Iterator[ArrowTable]:
    try:
        found = check_shard(folder, images, limits, int(item["shard"]))
    except ValueError as error:
        # Raised here, its one line would reach nobody but among many of Ray's.
        yield pa.Table.from_pylist([{"error": str(error)}], schema=_FINDINGS)
        return
    row = {"records": found.records, "tally": json.dumps(found.tally.as_counts()), "rejected": found.rejected}
    yield pa.Table.from_pylist([row], schema=_FINDINGS)


def _gather(shards: Iterable[Mapping[str, Any]], tally: Tally, quarantine: TextIO) -> NDArray[np.int64]:
    """Add what was found to the tally and the quarantine; the rows that can be used. Raises ValueError where a shard had an error."""
    sound = bytearray()
    for shard in shards:
        if shard["error"]:
            raise ValueError(shard["error"])
        tally.add(tally_of(json.loads(shard["tally"])))
        first = len(sound)
        sound += b"\1" * int(shard["records"])
        for rejected in shard["rejected"]:
            row = first + int(rejected["row"])
            sound[row] = 0
            _write_line(quarantine, {**rejected, "row": row})
    return np.flatnonzero(np.frombuffer(bytes(sound), dtype=np.uint8)).astype(np.int64)


def _report_unreadable(folder: str, quarantine: TextIO) -> Tally:
    """Report what was unreadable when the set was written, and count it."""
    tally, address = Tally(), join_address(folder, UNREADABLE_NAME)
    if not exists(address):
        return tally
    with open_read(address) as lines:
        for line in lines:
            found = json.loads(line)
            tally.add_rejected(NO_RECORD, "unreadable")
            place = {"file": found["file"], "line": found["line"]}
            reason = f"{found['reason']}: {found['excerpt']}" if found["excerpt"] else found["reason"]
            _write_line(quarantine, {**place, "kind": "unreadable", "reason": reason, "row": None, "id": None})
    return tally


def _write_line(quarantine: TextIO, entry: Mapping[str, Any]) -> None:
    quarantine.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _images(images: str | Path) -> str:
    place = parse_address(images)
    if isinstance(place, Path) and not place.is_dir():
        raise ValueError(f"images: {str(images)!r} is not a folder; correct the path")
    return absolute_address(images)
