"""The HTML of a wiki page as sections of plain text with captioned pictures."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_SILENT_TAGS = frozenset({"style", "script", "table", "math", "audio", "video"})
_SILENT_CLASSES = frozenset(
    {"reference", "mw-editsection", "noprint", "navbox", "toc", "mw-empty-elt", "hatnote", "reflist"}
)
_PICTURE_CLASSES = frozenset({"thumb", "gallerybox"})
_CAPTION_CLASSES = frozenset({"thumbcaption", "gallerytext"})
_LINK_CLASSES = frozenset({"mw-file-description", "image"})
_TEXT_TAGS = frozenset({"p", "li", "dd", "dt", "blockquote"})


@dataclass(frozen=True, slots=True)
class HtmlPicture:
    """name: of the file, without its namespace. caption: plain text."""

    name: str
    caption: str


@dataclass(slots=True)
class HtmlSection:
    """heading: "" for what stands before the first. level: of the heading, 1 to 6."""

    heading: str
    level: int
    paragraphs: list[str] = field(default_factory=list[str])
    pictures: list[HtmlPicture] = field(default_factory=list[HtmlPicture])

    @property
    def text(self) -> str:
        """The paragraphs, one a line."""
        return "\n".join(paragraph for paragraph in self.paragraphs if paragraph)


def read_sections(html: str, skip: Collection[str] = ()) -> list[HtmlSection]:
    """The sections of a page; those with a heading in `skip`, in any case, are left out, and their subsections too."""
    parser = _PageParser()
    parser.feed(html)
    parser.close()
    unwanted, kept, inside = {heading.casefold() for heading in skip}, list[HtmlSection](), 99
    for section in parser.sections:
        if section.level <= inside:
            inside = section.level if section.heading.casefold() in unwanted else 99
        if inside == 99:
            kept.append(section)
    return kept


@dataclass(slots=True)
class _Picture:
    depth: int
    name: str = ""


class _PageParser(HTMLParser):
    """Collects text by where it stands: in a heading, a caption, a paragraph, or in what is not read at all."""

    def __init__(self) -> None:
        super().__init__()
        self.sections = [HtmlSection("", 0)]
        self._stack = list[str]()
        self._silent: int | None = None
        self._picture: _Picture | None = None
        self._open: tuple[str, int] | None = None
        self._words = list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self._words.append(" " if tag == "br" else "")
            return
        self._stack.append(tag)
        classes = set((dict(attrs).get("class") or "").split())
        depth = len(self._stack)
        if self._silent is not None:
            return
        if tag in _SILENT_TAGS or classes & _SILENT_CLASSES:
            self._silent = depth
        elif self._picture is None and (tag == "figure" or classes & _PICTURE_CLASSES):
            self._picture = _Picture(depth)
        elif self._picture and tag == "a" and classes & _LINK_CLASSES:
            self._picture.name = self._picture.name or _file_name(dict(attrs).get("href") or "")
        elif kind := self._kind(tag, classes):
            self._flush_open()
            self._open, self._words = (kind, depth), []

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag not in self._stack:
            return
        while self._stack:
            closed, depth = self._stack.pop(), len(self._stack) + 1
            self._close(depth)
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._silent is None and self._open is not None:
            self._words.append(data)

    def close(self) -> None:
        super().close()
        self._flush_open()

    def _kind(self, tag: str, classes: set[str]) -> str | None:
        if self._picture:
            return "caption" if tag == "figcaption" or classes & _CAPTION_CLASSES else None
        if tag in _HEADINGS:
            return tag
        return "text" if tag in _TEXT_TAGS else None

    def _close(self, depth: int) -> None:
        if self._silent == depth:
            self._silent = None
        if self._open and self._open[1] == depth:
            self._flush_open()
        if self._picture and self._picture.depth == depth:
            self._picture = None

    def _flush_open(self) -> None:
        if self._open is None:
            return
        kind, text = self._open[0], re.sub(r"\s+", " ", "".join(self._words)).strip()
        self._open, self._words = None, []
        if kind == "caption" and self._picture:
            if self._picture.name and text:
                self.sections[-1].pictures.append(HtmlPicture(self._picture.name, text))
        elif kind in _HEADINGS:
            self.sections.append(HtmlSection(text, _HEADINGS[kind]))
        elif text:
            self.sections[-1].paragraphs.append(text)


def _file_name(href: str) -> str:
    """ "/wiki/File:A_cat.jpg" -> "A cat.jpg", whatever the namespace is called in the wiki's language."""
    name = unquote(urlsplit(href).path).rpartition("/")[2]
    return name.partition(":")[2].replace("_", " ")
