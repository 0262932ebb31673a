"""Reads every line and every picture of a source once, and says which cannot be trained on and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.pictures import PictureError, picture_key
from opabinia.data.pipeline import cluster_cpus, ordered_dataset
from opabinia.data.records import RecordError, parse_record
from opabinia.data.shards import read_lines
from opabinia.data.source import SourceConfig, images_folder, list_shards
from opabinia.data.trainable import TextEncoding
from opabinia.storage.atomic import whole_text

LINES_PER_TABLE = 256
LINE_SCHEMA = pa.schema(
    [("shard", pa.int64()), ("line", pa.int64()), ("reason", pa.string()), ("image", pa.string()), ("key", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that cannot be used: its file, its number from 1, and the reason in one line."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What a source holds.

    source: the name of the source under data.sources.
    records: how many lines can be used.
    rejected: those that cannot, in the order of the shards.
    images: the usable pictures, path relative to the source's images folder -> sha256 (hex) of the file.
    """

    source: str
    records: int
    rejected: tuple[Rejection, ...]
    images: dict[str, str]

    @property
    def rejected_lines(self) -> dict[str, tuple[int, ...]]:
        """File -> numbers from 1 of its rejected lines."""
        by_file = groupby(self.rejected, lambda rejection: rejection.file)
        return {file: tuple(rejection.line for rejection in found) for file, found in by_file}

    @property
    def lines(self) -> int:
        """How many lines that are not blank the shards hold."""
        return self.records + len(self.rejected)


def audit_source(name: str, source: SourceConfig, encoding: TextEncoding | None = None) -> Audit:
    """Check every line and picture of a source, shards in parallel; the result does not depend on timing.

    With `encoding`, a record must also become tokens of which exactly its answers are supervised.

    Ray must be running. Raises ValueError naming the field when there are no shards or no images folder.
    """
    shards = [str(shard) for shard in list_shards(name, source)]
    images = str(images_folder(name, source))
    items = [{"shard": index, "path": path, "images": images} for index, path in enumerate(shards)]
    findings = ordered_dataset(items, partial(_check_shard, encoding), at_once=cluster_cpus())
    records, rejected, keys = 0, list[Rejection](), dict[str, str]()
    rows: Iterable[dict[str, Any]] = findings.iter_rows()
    for row in rows:
        if row["reason"]:
            file: str = shards[int(row["shard"])]
            rejected.append(Rejection(file, row["line"], row["reason"]))
            continue
        records += 1
        if row["image"]:
            keys[row["image"]] = row["key"]
    return Audit(name, records, tuple(rejected), keys)


def write_quarantine(rejections: Sequence[Rejection], path: Path) -> None:
    """Write one JSON object {file, line, reason} a line, the file whole or not at all."""
    with whole_text(path) as handle:
        handle.writelines(json.dumps(asdict(rejection), ensure_ascii=False) + "\n" for rejection in rejections)


def enforce_limit(audit: Audit, limit: float, quarantine: Path) -> None:
    """Raise ValueError, one line, when more than `limit` (a share of the lines) was rejected, or nothing is left."""
    count = len(audit.rejected)
    if audit.records and count <= limit * audit.lines:
        return
    share = count / audit.lines if audit.lines else 0.0
    reasons = "; ".join(f"{Path(r.file).name}:{r.line} {r.reason}" for r in audit.rejected[:3])
    raise ValueError(
        f"data.sources.{audit.source}: {count} of {audit.lines} records rejected ({share:.1%}, limit {limit:.1%}), "
        f"{audit.records} left; all in {quarantine}; first: {reasons or 'the shards hold no records'}"
    )


def _check_shard(encoding: TextEncoding | None, item: Mapping[str, Any]) -> Iterator[ArrowTable]:
    findings = _findings(item["shard"], Path(item["path"]), Path(item["images"]), encoding)
    while chunk := list(islice(findings, LINES_PER_TABLE)):
        yield pa.Table.from_pylist(chunk, schema=LINE_SCHEMA)


def _findings(shard: int, path: Path, images: Path, encoding: TextEncoding | None) -> Iterator[dict[str, Any]]:
    """One row a line; a picture that many lines share is decoded once."""
    keys = dict[str, tuple[str, str]]()
    for number, line in read_lines(path):
        finding = {"shard": shard, "line": number, "reason": "", "image": "", "key": ""}
        try:
            record = parse_record(line, str(path), number)
            if encoding is not None:
                encoding.encode(record)
        except RecordError as error:
            yield finding | {"reason": str(error)}
            continue
        if record.image is not None:
            if record.image not in keys:
                keys[record.image] = _examine(images, record.image)
            key, reason = keys[record.image]
            finding |= {"image": record.image, "key": key, "reason": reason}
        yield finding


def _examine(images: Path, image: str) -> tuple[str, str]:
    """(sha256, "") of a sound picture, or ("", reason)."""
    try:
        return picture_key(images / image), ""
    except PictureError as error:
        return "", f"image {image!r} {error}"
