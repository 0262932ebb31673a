"""A few pictures and questions about them as the stream gives them, made without Ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from opabinia.data.arrow import pa
from opabinia.data.collate import collate_text
from opabinia.data.pictures import picture_key
from opabinia.data.prompts import encode_conversation
from opabinia.data.records import Turn
from opabinia.data.streaming.reading import ROW_SCHEMA, MoreColumns
from opabinia.data.streaming.rows import rows_of
from opabinia.data.streaming.stream import Part
from opabinia.models.answering import Prompt
from tests.models.small import tokenizer

QUESTION = "<image>\nwhat colour is the circle ?"
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210), "white": (240, 240, 240)}


def paint(folder: Path) -> dict[str, str]:
    """One noisy picture a colour; key -> path, in the order of the colours."""
    generator = np.random.default_rng(0)
    paths = [folder / f"{colour}.png" for colour in COLOURS]
    for path, colour in zip(paths, COLOURS.values(), strict=True):
        noise = generator.integers(-25, 25, (70, 90, 3))
        Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return {picture_key(path): str(path) for path in paths}


def part_of(pictures: dict[str, str], more: MoreColumns | None) -> Part:
    """What is asked and answered of each picture."""
    encoded = [encode_conversation(tokenizer(), (Turn("user", QUESTION), Turn("assistant", name))) for name in COLOURS]
    rows = [
        {"input_ids": one.input_ids, "labels": one.labels, "lengths": [len(one.labels)], "images": [path]}
        | {"image_keys": [key]}
        for (key, path), one in zip(pictures.items(), encoded, strict=True)
    ]
    table = pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
    return Part(collate_text(rows_of(table), 0), more(table) if more else table)


def text_part() -> Part:
    """A question without a picture."""
    encoded = encode_conversation(tokenizer(), (Turn("user", "how many is 2 plus 3 ?"), Turn("assistant", "5")))
    row = {"input_ids": encoded.input_ids, "labels": encoded.labels, "lengths": [len(encoded.labels)]}
    table = pa.Table.from_pylist([{**row, "images": [], "image_keys": []}], schema=ROW_SCHEMA)
    return Part(collate_text(rows_of(table), 0), table)


def prompts_of(pictures: dict[str, str]) -> list[Prompt]:
    """The same questions, each with its picture and the picture's key."""
    return [Prompt((Turn("user", QUESTION),), Image.open(path).convert("RGB"), key) for key, path in pictures.items()]
