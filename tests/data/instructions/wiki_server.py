"""A small MediaWiki over real HTTP: search, parsed pages, facts about files, and the files."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

LONG = " ".join(f"word{n}" for n in range(60))


def figure(name: str, caption: str) -> str:
    return (
        f'<figure class="mw-default-size" typeof="mw:File/Thumb"><a href="/wiki/File:{name}" class="mw-file-description">'
        f'<img src="//x/{name}" width="220"></a><figcaption>{caption}</figcaption></figure>'
    )


CELL = f"""<div class="mw-parser-output"><style>.a {{}}</style>
<table class="infobox"><tr><td><p>Not text</p></td></tr></table>
<p>The <b>cell</b> &amp; its parts<sup id="r" class="reference">[1]</sup>. {LONG}</p>
{figure("A_cell.png", "A <i>cell</i> seen close<sup class='reference'>[2]</sup>")}
<h2 id="History">History<span class="mw-editsection">[edit]</span></h2><p>{LONG}</p>{figure("Hooke.png", "Hooke")}
<h3>Early</h3><p>{LONG}</p>{figure("Hooke.png", "Hooke again")}
<h2>Parts</h2><ul><li>one</li><li>two {LONG}</li></ul>
<div class="thumb tright"><div class="thumbinner"><a href="/wiki/Datei:B%C3%A9.png" class="image"><img src="x"></a>
<div class="thumbcaption">Old style</div></div></div>
<ul class="gallery"><li class="gallerybox"><div class="thumb"><a href="/wiki/File:Broken.png" class="mw-file-description"><img></a>
</div><div class="gallerytext">Cannot be decoded</div></li>
<li class="gallerybox"><div class="thumb"><a href="/wiki/File:Gone.png" class="mw-file-description"><img></a></div>
<div class="gallerytext">Is gone</div></li></ul>
<h2>Short</h2><p>Too short.</p>{figure("A_cell.png", "The same cell")}
<h2>Pictureless</h2><p>{LONG}</p></div>"""
YEAST = f"<div><p>{LONG}</p>{figure('A_cell.png', 'A yeast cell')}</div>"
PAGES = {"Cell": CELL, "Yeast": YEAST}
FOUND = {"cells": ["Cell", "Missing page"], "yeasts": ["Yeast", "Cell"]}
LICENCES = {"A cell.png": "CC0", "Bé.png": "CC BY 3.0", "Broken.png": "CC0", "Gone.png": "CC0", "Hooke.png": "CC0"}


def png(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {"/A cell.png": png(1), "/Bé.png": png(2), "/Broken.png": png(3)[:40], "/Hooke.png": png(4)}


class WikiServer:
    """requested: the address with its parameters -> how often. failures: so many of the first requests are answered with 503."""

    def __init__(self) -> None:
        self.requested = Counter[str]()
        self.agents = set[str | None]()
        self.failures = 0
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path != "/w/api.php":
            content = FILES.get(path)
            return (200, content) if content is not None else (404, b"gone")
        return 200, json.dumps(self._api(query)).encode()

    def _api(self, query: dict[str, str]) -> dict[str, Any]:
        assert (query["format"], query["formatversion"]) == ("json", "2")
        if query["action"] == "parse":
            html = PAGES.get(query["page"])
            if html is None:
                return {"error": {"code": "missingtitle", "info": "The page you specified doesn't exist."}}
            return {"parse": {"title": query["page"], "pageid": 1, "text": html}}
        if query.get("list") == "search":
            titles = FOUND.get(query["srsearch"], [])[: int(query["srlimit"])]
            return {"query": {"search": [{"ns": 0, "title": title} for title in titles]}}
        if query.get("meta") == "siteinfo":
            return {"query": {"rightsinfo": {"url": "https://licence", "text": "CC BY-SA 4.0"}}}
        names = [title.removeprefix("File:") for title in query["titles"].split("|")]
        return {"query": {"pages": [self._file(name, query["iiurlwidth"]) for name in names]}}

    def _file(self, name: str, width: str) -> dict[str, Any]:
        facts = {"LicenseShortName": {"value": LICENCES[name]}}
        address = f"{self.url}/{name}"
        info = {"url": f"{address}.full", "thumburl": f"{address}?width={width}", "extmetadata": facts}
        return {"title": f"File:{name}", "imageinfo": [info]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wiki: WikiServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.wiki.requested[unquote(self.path)] += 1
        self.wiki.agents.add(self.headers.get("User-Agent"))
        if self.wiki.failures > 0:
            self.wiki.failures -= 1
            status, content = 503, b"maintenance"
        else:
            status, content = self.wiki.answer(unquote(parts.path), query)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving_wiki() -> Iterator[WikiServer]:
    wiki = WikiServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"wiki": wiki}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    wiki.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wiki
    finally:
        server.shutdown()
        server.server_close()
