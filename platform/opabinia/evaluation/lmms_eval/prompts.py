"""From lmms-eval's chat messages to the prompt that a model reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opabinia.data.records import PLACEHOLDER, Role, Turn
from opabinia.evaluation.pictures import decoded
from opabinia.models.answering import Prompt

if TYPE_CHECKING:
    from PIL.Image import Image

Part = Mapping[str, Any]
"""{"type": "text", "text": …} or {"type": "image", "url": a picture or its path}."""

Message = Mapping[str, Any]
"""{"role": "user", "assistant" or "system", "content": [Part, …]}."""


def to_prompt(messages: Sequence[Message], *, first_picture_alone: bool = False) -> Prompt:
    """The placeholder stands on a line of its own where the picture stands among the parts, as in training, or where a task wrote it.

    System text goes before the user's first words, as chat templates of small models know no system role. Of several pictures the
    first alone is shown, and marks in the text are left out, if so wanted: as the study asks MMMU (Tong et al. 2024, released code).
    Raises ValueError for several pictures otherwise, for video and sound, and for pictures that cannot be read.
    """
    parts = [part for message in messages for part in message["content"]]
    pictures = [part for part in parts if part["type"] == "image"]
    if len(pictures) > 1 and not first_picture_alone:
        raise ValueError(
            f"{len(pictures)} pictures in one question, but the model is shown one; add several_pictures=first to --model_args "
            "so that the others are not shown, or leave out the task"
        )
    marks = sum(part["text"].count(PLACEHOLDER) for part in parts if part["type"] == "text")
    others = {id(picture) for picture in pictures[1:]}
    turns = tuple(_turns(messages, others, marked=marks == len(pictures) == 1))
    return Prompt(turns, _opened(pictures[0]["url"]) if pictures else None)


def _turns(messages: Sequence[Message], left_out: Collection[int], *, marked: bool) -> Iterator[Turn]:
    """`left_out`: by identity, parts that are not shown."""
    instructions = list[str]()
    for message in messages:
        lines = list(_lines([part for part in message["content"] if id(part) not in left_out], marked=marked))
        if message["role"] == "system":
            instructions += lines
            continue
        first_words = next((place for place, line in enumerate(lines) if line != PLACEHOLDER), len(lines))
        lines[first_words:first_words] = instructions
        instructions.clear()
        yield Turn(cast("Role", message["role"]), "\n".join(lines))


def _lines(parts: Sequence[Part], *, marked: bool) -> Iterator[str]:
    """`marked`: the texts say where the picture is; otherwise a placeholder in a text is a word like any other, and is left out."""
    for part in parts:
        if part["type"] == "text":
            text: str = part["text"]
            yield text if marked else text.replace(PLACEHOLDER, "")
        elif part["type"] != "image":
            raise ValueError(
                f"{part['type']} in a question, but the model reads texts and pictures; leave out the task"
            )
        elif not marked:
            yield PLACEHOLDER


def _opened(picture: Image | str) -> Image:
    if isinstance(picture, str):
        return decoded(Path(picture), picture)
    return picture.convert("RGB")
