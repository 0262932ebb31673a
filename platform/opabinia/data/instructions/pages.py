"""Sections of pages with captioned pictures, as subjects of prompts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opabinia.data.instructions.requests import HASH_DIGITS
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.subjects import Rejection, Subject, licence_of
from opabinia.data.shards import read_lines

TEMPLATE = "page"

_Text = Annotated[str, Field(min_length=1)]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PagePicture(_Lenient):
    """A picture of a section. path: relative to the images folder. licence: of the picture, None for the page's."""

    path: _Text
    caption: str = ""
    licence: str | None = None


class Section(_Lenient):
    """A section of a page. text: without markup. url: where the page stands. topic: what it was searched for."""

    title: _Text
    section: str = ""
    text: str
    images: tuple[PagePicture, ...] = ()
    licence: str | None = None
    url: str | None = None
    topic: str | None = None


def read_sections(path: Path) -> Iterator[tuple[str, Section | str]]:
    """(file:line, the section or why it cannot be read) of a JSONL file, or of the JSON and JSONL files in a folder by name."""
    files = sorted(file for file in path.rglob("*.json*") if file.is_file()) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: holds no .json or .jsonl files of sections")
    for file in files:
        if file.suffix == ".json":
            yield from _whole_json(file)
        else:
            for number, line in read_lines(file):
                yield f"{file.name}:{number}", _section(line)


def page_subjects(path: Path, settings: InstructionConfig) -> Iterator[Subject | Rejection]:
    """One subject for each captioned picture of each section that is long enough. Raises ValueError when a licence is missing."""
    for place, section in read_sections(path):
        if isinstance(section, str):
            yield Rejection(place, settings.page_source, section)
        elif len(section.text.split()) < settings.words_at_least:
            yield Rejection(place, settings.page_source, f"the section has fewer than {settings.words_at_least} words")
        elif not section.images:
            yield Rejection(place, settings.page_source, "the section has no picture")
        else:
            for picture in section.images:
                yield _subject(place, section, picture, settings)


def _subject(place: str, section: Section, picture: PagePicture, settings: InstructionConfig) -> Subject | Rejection:
    if not picture.caption.strip():
        return Rejection(place, settings.page_source, "the picture has no caption")
    context = " ".join(section.text.split()[: settings.context_words])
    texts = {"title": section.title, "section": section.section or "Introduction", "caption": picture.caption}
    origin = {"page": section.title, "url": section.url, "topic": section.topic}
    return Subject(
        id=_identity(section, picture),
        source=settings.page_source,
        image=picture.path,
        licence=_licence(section, picture, settings),
        texts={**texts, "context": context},
        template=TEMPLATE,
        origin={name: value for name, value in origin.items() if value},
    )


def _identity(section: Section, picture: PagePicture) -> str:
    """The same in every run and process, and different for every picture of every section."""
    parts = json.dumps([section.title, section.section, picture.path, picture.caption])
    return hashlib.sha256(parts.encode()).hexdigest()[:HASH_DIGITS]


def _licence(section: Section, picture: PagePicture, settings: InstructionConfig) -> str:
    text = licence_of(section.licence, settings.page_source, settings)
    return text if picture.licence in (None, "", text) else f"text {text}, picture {picture.licence}"


def _whole_json(file: Path) -> Iterator[tuple[str, Section | str]]:
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        yield file.name, "not valid JSON in UTF-8"
        return
    entries = cast("list[Any]", document) if isinstance(document, list) else [document]
    for number, entry in enumerate(entries, start=1):
        yield f"{file.name}:{number}", _section(json.dumps(entry))


def _section(line: str) -> Section | str:
    try:
        return Section.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'section'}: {first['msg']}"
    except UnicodeEncodeError:
        return "not valid UTF-8"
