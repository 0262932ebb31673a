"""Pages of a MediaWiki, over its HTTP interface."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import quote

import httpx
from pydantic import Field

from opabinia.config import Config
from opabinia.data.instructions.retry import PatienceConfig
from opabinia.data.instructions.sending import Refused, Sender, Unanswered, Unusable
from opabinia.data.instructions.wiki_html import HtmlSection, read_sections
from opabinia.storage.atomic import whole_file

_MOST_TITLES = 50


@dataclass(frozen=True, slots=True)
class WebPicture:
    """address: of the picture's bytes. licence: as its page states it, "" when it does not."""

    address: str
    caption: str
    licence: str


@dataclass(frozen=True, slots=True)
class WebSection:
    """A section of a page, its pictures not yet fetched."""

    title: str
    section: str
    text: str
    url: str
    licence: str
    pictures: tuple[WebPicture, ...]


class PageSource(Protocol):
    """Where pages come from. Raises ValueError when it gives none at all."""

    async def titles(self, topic: str) -> Sequence[str]:
        """Titles of pages about a topic, the fittest first."""
        ...

    async def sections(self, title: str) -> Sequence[WebSection]:
        """The sections of a page that have both text and captioned pictures."""
        ...

    async def picture(self, address: str) -> bytes | None:
        """The bytes of a picture, None when they cannot be had."""
        ...


class WikiConfig(Config):
    """A MediaWiki, and how gently it is asked."""

    api_url: str = "https://en.wikipedia.org/w/api.php"
    """Address of its api.php."""

    user_agent: str = Field(min_length=1)
    """Who asks, with a way to reach them: the Wikimedia sites refuse what does not say so."""

    pages_per_topic: int = Field(default=10, ge=1, le=50)
    """Pages that a topic is searched for (Tong et al. 2024, §5.1)."""

    at_once: int = Field(default=2, ge=1)
    """Pages that are fetched side by side."""

    pause_s: float = Field(default=1.0, ge=0)
    """Seconds between two requests, at least."""

    picture_width: int = Field(default=1024, ge=16)
    """Pixels; wider pictures are fetched reduced, and drawings as PNG."""

    skip: tuple[str, ...] = (
        "History",
        "References",
        "See also",
        "External links",
        "Further reading",
        "Notes",
        "Gallery",
    )
    """Headings of sections that are left out with their subsections."""

    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds for one request."""

    patience: PatienceConfig = PatienceConfig()
    """How a request that failed is repeated."""


class MediaWiki:
    """A page source. Use `media_wiki`, which also closes it. What was fetched once is kept in `cache` and not fetched again."""

    def __init__(self, settings: WikiConfig, sender: Sender, cache: Path) -> None:
        self._settings = settings
        self._sender = sender
        self._cache = cache
        self._turn = asyncio.Lock()

    async def titles(self, topic: str) -> Sequence[str]:
        """Titles of pages about a topic, the fittest first."""
        search = {"list": "search", "srsearch": topic, "srlimit": self._settings.pages_per_topic, "srprop": ""}
        answer = await self._query(search)
        return [str(found["title"]) for found in answer.get("query", {}).get("search", ())]

    async def sections(self, title: str) -> Sequence[WebSection]:
        """The sections of a page that have both text and captioned pictures; none when there is no such page."""
        answer = await self._api({"action": "parse", "page": title, "prop": "text", "redirects": 1, "disabletoc": 1})
        if "parse" not in answer:
            return []
        found = read_sections(str(answer["parse"]["text"]), self._settings.skip)
        used = [section for section in found if section.text and section.pictures]
        facts = await self._picture_facts([picture.name for section in used for picture in section.pictures])
        licence = await self._licence()
        return [self._section(str(answer["parse"]["title"]), section, facts, licence) for section in used]

    async def picture(self, address: str) -> bytes | None:
        """The bytes of a picture, None when the server does not give them."""
        try:
            return await self._kept(address, {}, lambda response: response.content)
        except (Refused, Unusable):
            return None
        except Unanswered as error:
            raise _failed(address, error) from None

    def _section(
        self, title: str, section: HtmlSection, facts: Mapping[str, tuple[str, str]], licence: str
    ) -> WebSection:
        pictures = [
            WebPicture(facts[picture.name][0], picture.caption, facts[picture.name][1])
            for picture in section.pictures
            if picture.name in facts
        ]
        # index.php stands beside api.php in every wiki, while short addresses differ.
        url = f"{self._settings.api_url.removesuffix('api.php')}index.php?title={quote(title.replace(' ', '_'))}"
        return WebSection(title, section.heading, section.text, url, licence, tuple(pictures))

    async def _picture_facts(self, names: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Name of a file -> (address, licence)."""
        facts, distinct = dict[str, tuple[str, str]](), sorted(set(names))
        for start in range(0, len(distinct), _MOST_TITLES):
            titles = "|".join(f"File:{name}" for name in distinct[start : start + _MOST_TITLES])
            wanted = {"prop": "imageinfo", "iiprop": "url|extmetadata", "iiurlwidth": self._settings.picture_width}
            answer = await self._query({"titles": titles, **wanted})
            for page in answer.get("query", {}).get("pages", ()):
                for info in page.get("imageinfo", ())[:1]:
                    facts[str(page["title"]).partition(":")[2]] = _facts(info)
        return facts

    async def _licence(self) -> str:
        answer = await self._query({"meta": "siteinfo", "siprop": "rightsinfo"})
        rights: Any = answer.get("query", {}).get("rightsinfo", {})
        return str(rights.get("text") or rights.get("url") or "")

    async def _query(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return await self._api({"action": "query", **parameters})

    async def _api(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        url, options = self._settings.api_url, {**parameters, "format": "json", "formatversion": 2}
        try:
            return json.loads(await self._kept(url, options, _whole_answer))
        except (Refused, Unusable, Unanswered) as error:
            raise _failed(url, error) from None

    async def _kept(self, url: str, parameters: Mapping[str, Any], read: Callable[[httpx.Response], bytes]) -> bytes:
        """What the address gives, from the cache when it was fetched before."""
        name = hashlib.sha256(json.dumps([url, parameters], sort_keys=True).encode()).hexdigest()
        file = self._cache / name[:2] / name
        if not file.exists():
            await self._await_turn()
            content = await self._sender.fetch("GET", url, read, {"params": parameters} if parameters else {})
            with whole_file(file) as handle:
                handle.write(content)
        return file.read_bytes()

    async def _await_turn(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._settings.pause_s)


@asynccontextmanager
async def media_wiki(settings: WikiConfig, cache: Path) -> AsyncGenerator[MediaWiki]:
    """A MediaWiki whose answers are kept in the folder `cache`, so that a run that was killed goes on where it was."""
    headers = {"User-Agent": settings.user_agent}
    async with httpx.AsyncClient(headers=headers, follow_redirects=True, timeout=None) as client:
        yield MediaWiki(settings, Sender(client, settings.patience, timeout_s=settings.timeout_s), cache)


def _whole_answer(response: httpx.Response) -> bytes:
    document: Any = response.json()
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    error = cast("dict[str, dict[str, Any]]", document).get("error", {})
    # A page that is missing is an answer to keep; a busy or broken server is not.
    if error and str(error.get("code", "")).startswith(("internal", "maxlag", "ratelimited", "readonly")):
        raise ValueError(str(error.get("info") or error["code"]))
    return response.content


def _facts(info: Mapping[str, Any]) -> tuple[str, str]:
    licence: Any = info.get("extmetadata", {}).get("LicenseShortName", {})
    return str(info.get("thumburl") or info["url"]), str(licence.get("value", ""))


def _failed(url: str, error: Exception) -> ValueError:
    return ValueError(f"{url}: {error}; put it right and run again: what was fetched is kept")
