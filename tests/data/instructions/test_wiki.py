"""Pages about topics from a MediaWiki, over HTTP, with their pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from opabinia.data.instructions.pipeline import fetch_pages
from opabinia.data.instructions.wiki import WikiConfig
from opabinia.data.instructions.wiki_html import read_sections
from tests.data.instructions.specimens import read_rows
from tests.data.instructions.wiki_server import CELL, FILES, LONG, WikiServer, figure, png, serving_wiki

SKIP = ("History",)


def config(server: WikiServer, tries: int = 3) -> WikiConfig:
    patience = {"tries": tries, "first_wait_s": 0.01}
    return WikiConfig.model_validate(
        {"api_url": f"{server.url}/w/api.php", "user_agent": "tests (me@here)", "pause_s": 0, "patience": patience}
    )


def topics_file(tmp_path: Path) -> Path:
    file = tmp_path / "topics.jsonl"
    file.write_text('{"topic": "cells"}\n{"topic": "yeasts"}\n{"topic": "nothing"}\n')
    return file


def test_sections_hold_text_and_captioned_pictures() -> None:
    sections = read_sections(CELL, SKIP)
    assert [section.heading for section in sections] == ["", "Parts", "Short", "Pictureless"]
    assert sections[0].text == f"The cell & its parts. {LONG}"
    assert [(picture.name, picture.caption) for picture in sections[0].pictures] == [
        ("A cell.png", "A cell seen close")
    ]
    assert sections[1].text == f"one\ntwo {LONG}"
    assert [(picture.name, picture.caption) for picture in sections[1].pictures] == [
        ("Bé.png", "Old style"),
        ("Broken.png", "Cannot be decoded"),
        ("Gone.png", "Is gone"),
    ]


def test_a_heading_that_is_skipped_takes_its_subsections_with_it() -> None:
    html = "<h2>A</h2><h3>history</h3><p>x</p><h4>deep</h4><p>y</p><h3>B</h3><p>z</p>"
    assert [section.heading for section in read_sections(html, SKIP)] == ["", "A", "B"]


@pytest.mark.parametrize(
    "html", ["", "<p>open", "</p></div>", f"<div>{figure('A.png', '')}", "<figure><figcaption>x</figure><p>y</p>"]
)
def test_broken_html_is_read_as_far_as_it_goes(html: str) -> None:
    assert not any(section.pictures for section in read_sections(html))


def test_pages_are_fetched_once_with_text_pictures_and_licences(tmp_path: Path) -> None:
    with serving_wiki() as server:
        pages = fetch_pages(config(server), topics_file(tmp_path), tmp_path / "pages", cache=tmp_path / "cache")
    rows = read_rows(pages)
    assert [(row["title"], row["section"], row["topic"]) for row in rows] == [
        ("Cell", "", "cells"),
        ("Cell", "Parts", "cells"),
        ("Cell", "Short", "cells"),
        ("Yeast", "", "yeasts"),
    ]
    assert {row["licence"] for row in rows} == {"CC BY-SA 4.0"}
    assert rows[0]["url"] == f"{server.url}/w/index.php?title=Cell"
    (picture,) = rows[1]["images"]
    assert (picture["caption"], picture["licence"]) == ("Old style", "CC BY 3.0")
    assert (tmp_path / "pages" / picture["path"]).read_bytes() == FILES["/Bé.png"]
    assert (
        picture["path"] == f"images/{hashlib.sha256(png(2)).hexdigest()[:2]}/{hashlib.sha256(png(2)).hexdigest()}.png"
    )
    # The same picture in three sections is one file, fetched once.
    assert len({rows[place]["images"][0]["path"] for place in (0, 2, 3)}) == 1
    assert server.requested["/A cell.png?width=1024"] == 1
    assert not any("Hooke" in address for address in server.requested)
    assert server.agents == {"tests (me@here)"}


def test_what_was_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    with serving_wiki() as server:
        first = fetch_pages(config(server), topics_file(tmp_path), tmp_path / "first", cache=tmp_path / "cache")
        server.requested.clear()
        second = fetch_pages(config(server), topics_file(tmp_path), tmp_path / "second", cache=tmp_path / "cache")
    # A picture that is gone may come back, so that it alone is asked for.
    assert set(server.requested) == {"/Gone.png?width=1024"}
    assert first.read_bytes() == second.read_bytes()


def test_a_server_that_is_down_for_a_moment_is_waited_for_and_one_that_stays_down_is_not(tmp_path: Path) -> None:
    with serving_wiki() as server:
        server.failures = 2
        pages = fetch_pages(config(server), topics_file(tmp_path), tmp_path / "pages", cache=tmp_path / "cache")
        assert len(read_rows(pages)) == 4
        server.failures = 10**9
        with pytest.raises(ValueError, match=r"api\.php: HTTP 503: maintenance .* what was fetched is kept"):
            fetch_pages(config(server), topics_file(tmp_path), tmp_path / "other", cache=tmp_path / "new")
    assert not (tmp_path / "other").exists()
