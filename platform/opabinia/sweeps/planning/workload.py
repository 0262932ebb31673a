"""What the data of a sweep are like, from what is known of them before anything is prepared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from opabinia.data.arrow import pc
from opabinia.data.audited import AuditedSource, open_audited
from opabinia.data.source import DataConfig, SourceConfig, list_shards
from opabinia.evaluation.questions import BenchmarkConfig, load_questions
from opabinia.training.inputs import TrainingInputs, load_inputs

Known = Literal["audited", "sampled", "assumed"]

_SAMPLED_LINES = 500
_SAMPLED_SHARDS = 4
# Of English text in the vocabularies of large language models; good to a third.
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """One data source. text, pictures: of the mean record, tokens without its pictures and their number. records: None where unknown.

    known: counted in an earlier audit, told from the first lines of its shards, or assumed because no shard is there yet.
    """

    records: int | None
    text: float
    pictures: float
    known: Known


@dataclass(frozen=True, slots=True)
class Workloads:
    """All sources of an experiment by name. keys: of all pictures, of questions too, where every source was audited.

    pictures: how many different ones there are, at most; None where unknown. questions: of the benchmark; None where it is not there.
    """

    sources: Mapping[str, Workload]
    keys: tuple[str, ...] | None
    pictures: int | None
    questions: int | None

    def records(self) -> dict[str, int]:
        """Of the sources of which they are known."""
        return {name: source.records for name, source in self.sources.items() if source.records is not None}

    @property
    def assumptions(self) -> list[str]:
        """What was not counted, a line each."""
        by_kind = {kind: [n for n, s in self.sources.items() if s.known == kind] for kind in ("sampled", "assumed")}
        lines = {
            "sampled": "lengths told from the first lines of their shards, 4 characters a token",
            "assumed": "no shard there yet: one picture and data.max_length tokens a record assumed",
        }
        return [f"data {', '.join(names)}: {lines[kind]}" for kind, names in by_kind.items() if names]


def look_at_data(
    data: DataConfig, names: Iterable[str], benchmark: BenchmarkConfig, inputs: Path, rendered: int | None = None
) -> Workloads:
    """Of the sources with these names. inputs: the file that an earlier preparation left, or would leave.

    rendered: pictures of the toy world, where there is one, whose sources are about as long.
    """
    left = _left(inputs)
    audits = {name: _audited(name, data.sources[name], left) for name in dict.fromkeys(names)}
    sources = {
        name: _of_audit(audited) if audited else _of_shards(data, name, rendered) for name, audited in audits.items()
    }
    questions = _questions(benchmark)
    found = [audited for audited in audits.values() if audited]
    keys = None
    if left and len(found) == len(audits):
        keys = tuple({key for audited in found for key, _ in audited.pictures()} | set(left.benchmark_keys.values()))
    return Workloads(sources, keys, len(keys) if keys else _pictures(sources, rendered, questions), questions)


def _left(inputs: Path) -> TrainingInputs | None:
    try:
        return load_inputs(inputs)
    # None there, or of an earlier version of ours.
    except (OSError, ValidationError):
        return None


def _audited(name: str, source: SourceConfig, left: TrainingInputs | None) -> AuditedSource | None:
    """The source's audit, unless it was made of other shards."""
    if left is None or name not in left.audits:
        return None
    try:
        audited, shards = open_audited(left.audits[name]), list_shards(name, source)
    except (OSError, ValueError):
        return None
    return audited if [shard.address for shard in audited.summary.shards] == shards else None


def _of_audit(audited: AuditedSource) -> Workload:
    tokens = pictures = 0
    for shard in range(len(audited.counts)):
        rows = audited.rows(shard, ["tokens", "images"])
        tokens += pc.sum(rows["tokens"]).as_py() or 0
        pictures += pc.sum(pc.list_value_length(rows["images"])).as_py() or 0
    records = max(1, audited.records)
    return Workload(audited.records, (tokens - pictures) / records, pictures / records, "audited")


def _of_shards(data: DataConfig, name: str, rendered: int | None) -> Workload:
    try:
        shards = [Path(shard) for shard in list_shards(name, data.sources[name]) if "://" not in shard]
    except ValueError:
        shards = []
    lines = [line for shard in shards[:_SAMPLED_SHARDS] for line in _first_lines(shard)]
    records = [_record(line) for line in lines]
    if not records:
        return Workload(data.sources[name].records or rendered, data.max_length, 1.0, "assumed")
    count = sum(shard.stat().st_size for shard in shards) / (sum(map(len, lines)) / len(lines))
    text = sum(min(data.max_length, _characters(record) / _CHARACTERS_PER_TOKEN) for record in records) / len(records)
    pictures = sum(map(_images, records)) / len(records)
    return Workload(round(count), text, pictures, "sampled")


def _first_lines(shard: Path) -> list[bytes]:
    with shard.open("rb") as handle:
        return list(islice(handle, _SAMPLED_LINES // _SAMPLED_SHARDS))


def _record(line: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _characters(record: Mapping[str, Any]) -> int:
    return sum(len(str(turn.get("value", ""))) for turn in record.get("conversations", []))


def _images(record: Mapping[str, Any]) -> int:
    image: object = record.get("image")
    return len(cast("list[str]", image)) if isinstance(image, list) else int(image is not None)


def _questions(benchmark: BenchmarkConfig) -> int | None:
    try:
        return len(load_questions(benchmark))
    except (OSError, ValueError):
        return None


def _pictures(sources: Mapping[str, Workload], rendered: int | None, questions: int | None) -> int | None:
    """At most so many: that sources share pictures, as the toy world's do, only their keys would tell."""
    if rendered is not None:
        return rendered + (questions or 0)
    if any(source.records is None for source in sources.values()):
        return None
    return round(sum((source.records or 0) * source.pictures for source in sources.values())) + (questions or 0)
