"""Pages about topics, with their pictures, as a file of sections and a folder of images."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from pathlib import Path
from typing import TextIO, TypeVar

from PIL import Image

from opabinia.data.instructions.pages import PagePicture, Section
from opabinia.data.instructions.wiki import PageSource, WebPicture, WebSection
from opabinia.data.pictures import PictureError, check_picture

Item = TypeVar("Item")
Result = TypeVar("Result")

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}


async def fetch_sections(
    opening: AbstractAsyncContextManager[PageSource], topics: Sequence[str], folder: Path, at_once: int
) -> None:
    """Write pages.jsonl (one `Section` a line) and images/ into a folder, in the order of the topics whatever comes first.

    A page that several topics lead to is written once. Pictures that cannot be had or do not decode are left out, as are sections
    without any.
    """
    async with opening as source:
        found = await _side_by_side(topics, source.titles, at_once)
        about = dict[str, str]()
        for topic, titles in zip(topics, found, strict=True):
            about.update({title: topic for title in titles if title not in about})
        pages = list(about.items())
        with (folder / "pages.jsonl").open("w", encoding="utf-8") as handle:
            for start in range(0, len(pages), at_once):
                await _write_pages(source, pages[start : start + at_once], folder, handle)


async def _write_pages(source: PageSource, pages: Sequence[tuple[str, str]], folder: Path, handle: TextIO) -> None:
    async def fetch(page: tuple[str, str]) -> list[Section]:
        title, topic = page
        return [await _with_pictures(source, section, topic, folder) for section in await source.sections(title)]

    for sections in await _side_by_side(pages, fetch, len(pages)):
        for section in sections:
            if section.images:
                handle.write(json.dumps(section.model_dump(), ensure_ascii=False) + "\n")


async def _with_pictures(source: PageSource, section: WebSection, topic: str, folder: Path) -> Section:
    pictures = [await _picture(source, picture, folder) for picture in section.pictures]
    return Section(
        title=section.title,
        section=section.section,
        text=section.text,
        images=tuple(picture for picture in pictures if picture is not None),
        licence=section.licence or None,
        url=section.url,
        topic=topic,
    )


async def _picture(source: PageSource, picture: WebPicture, folder: Path) -> PagePicture | None:
    """The picture, saved under the hash of its bytes; None when it cannot be used."""
    content = await source.picture(picture.address)
    if content is None:
        return None
    try:
        check_picture(content)
    except PictureError:
        return None
    path = _save(content, folder)
    return PagePicture(path=path, caption=picture.caption, licence=picture.licence or None)


def _save(content: bytes, folder: Path) -> str:
    with Image.open(BytesIO(content)) as image:
        ending = _ENDINGS.get(image.format or "", "img")
    name = hashlib.sha256(content).hexdigest()
    path = f"images/{name[:2]}/{name}.{ending}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return path


async def _side_by_side(items: Iterable[Item], do: Callable[[Item], Awaitable[Result]], at_once: int) -> list[Result]:
    """The results in the order of the items, with so many under way."""
    places = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Result:
        async with places:
            return await do(item)

    return await asyncio.gather(*(one(item) for item in items))
