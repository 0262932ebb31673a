"""Indexes of data sets, as preparing one leaves them, and the sizes of Cambrian-10M's sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

# Tong et al. 2024, Figure 9, in thousands of records. ALLaVA and Q-Instruct stand as the two files each was published in.
CAMBRIAN_10M: Mapping[str, float] = {
    "DVQA": 2325, "SynthDog": 500, "ArxivQA": 100, "OCRVQA": 80, "ScreenQA": 79, "WikiSQL": 74, "Low-Level Vision": 50,
    "DocVQA": 39, "WTQ": 38, "ChartQA": 28, "IconQA": 27, "Chart2Text": 26, "TabMWP": 23, "TextCaps": 22, "LLAVAR": 20,
    "ST-VQA": 17, "AI2D": 15, "RenderedText": 10, "VisText": 9, "FinQA": 6, "InfoVQA": 2, "TAT-QA": 2, "HiTab": 2,
    "allava-laion-500k.json": 500, "allava-vflan-200k.json": 200, "q-instruct_200k.json": 200, "qalign_200k.json": 200,
    "LNQA": 302, "LVIS-Instruct4V": 220, "LLaVA150K": 150, "VisualGenome": 86, "VQAv2": 83, "GPT4V Rewritten": 77,
    "GQA": 72, "A-OKVQA": 50, "AlfWorld": 45, "ShareGPT": 40, "RefCOCO": 30, "VizWiz": 20, "Visual7W": 14,
    "LAION GPT-4V": 11, "IDK": 11, "OKVQA": 9, "HatefulMemes": 8, "OODVQA": 8, "SketchyVQA": 8, "Visualmrc": 3,
    "OpenOrca": 994, "MathInstruct": 262, "OrcaMath": 200, "WizardCoder": 143, "OpenCodeInterpreter": 66, "Dolly": 11,
    "CLEVR": 700, "TallyQA": 250, "WebSight": 800, "DaTikz": 47, "Design2Code": 0.5, "Geo170K": 170, "RAVEN": 42,
    "GeomVerse": 9, "MathVision": 3, "Inter-GPS": 1, "TQA": 1, "Data Engine": 161, "PathVQA": 32, "ScienceQA": 12,
}  # fmt: skip

# What the paper says of three of them: this many thousands are left in Cambrian-7M; of all others, all are.
FILTERED: Mapping[str, float] = {"DVQA": 775, "CLEVR": 350, "WebSight": 10}

Row = tuple[str, str | None, str | None]
"""Id, source and category of a record."""


def rows_of(sizes: Mapping[str, float]) -> list[Row]:
    return [(f"{source}-{number}", source, None) for source, size in sizes.items() for number in range(round(size))]


def index_of(rows: Sequence[Row], shard_size: int = 1000) -> Any:
    """An index as preparing writes it, a batch of rows a shard, each with a dictionary of its own."""
    shards = [rows[start : start + shard_size] for start in range(0, len(rows), shard_size)]
    return pa.Table.from_batches([_batch(shard, rows) for shard, rows in enumerate(shards)], schema=SCHEMA)


def write_index(file: Path, table: Any) -> Path:
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.unify_dictionaries())
    return file


_WORDS = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    "shard": pa.int32(), "offset": pa.int64(), "size": pa.int32(), "id": pa.string(), "source": _WORDS,
    "category": _WORDS, "images": pa.int16(), "turns": pa.int16(), "words": pa.int32(),
}  # fmt: skip
SCHEMA = pa.schema(list(_TYPES.items()))


def _batch(shard: int, rows: Sequence[Row]) -> Any:
    ids, sources, categories = (pa.array(list(column), pa.string()) for column in zip(*rows, strict=True))
    count = len(rows)
    columns = {
        "shard": [shard] * count,
        "offset": [100 * place for place in range(count)],
        "size": [100] * count,
        "id": ids,
        "source": sources.dictionary_encode(),
        "category": categories.dictionary_encode(),
        "images": [1] * count,
        "turns": [2] * count,
        "words": [9] * count,
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)
