from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from opabinia.tracking.samples_page import MAX_SIDE, samples_page
from tests.tracking.specimens import picture, sample


class Reader(HTMLParser):
    """Collects visible text, addresses and tag names, and checks that tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_card_shows_question_choices_and_both_answers_marked(tmp_path: Path) -> None:
    page = samples_page([sample(picture(tmp_path / "a.png"))], title="quickstart")
    read = "".join(Reader(page).text)
    assert "what colour is the circle ?" in read
    assert '<dd class="right" title="right">✓ red</dd>' in page
    assert '<dd class="wrong" title="wrong">✗ blue</dd>' in page
    assert '<li class="gold" title="the right answer">red</li><li>blue</li>' in page


def test_the_page_needs_no_other_file_and_runs_no_script(tmp_path: Path) -> None:
    read = Reader(samples_page([sample(picture(tmp_path / "a.png")), sample()], title="quickstart"))
    assert "script" not in read.tags
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in read.addresses)
    assert read.tags.count("img") == 1


def test_pictures_are_jpeg_and_scaled_down(tmp_path: Path) -> None:
    page = samples_page([sample(picture(tmp_path / "a.png", size=(1000, 500)))], title="quickstart")
    encoded = re.search(r"base64,([^\"]+)", page)
    assert encoded
    image = Image.open(io.BytesIO(base64.b64decode(encoded.group(1))))
    assert (image.format, image.size) == ("JPEG", (MAX_SIDE, MAX_SIDE // 2))


def test_what_a_model_or_a_data_set_writes_stays_text() -> None:
    attack = '"><script>alert(1)</script>'
    hostile = sample(
        question=attack, answer=attack, blind_answer=attack, choices=(attack, "b"), task=attack, family=attack
    )
    page = samples_page([hostile], title=attack)
    assert "script" not in Reader(page).tags
    assert attack in "".join(Reader(page).text)


def test_families_are_tallied() -> None:
    page = samples_page([sample(), sample(family="ocr_chart"), sample(correct=False)], title="quickstart")
    read = "".join(Reader(page).text)
    assert "3 questions: 2 right with the image, 0 without" in read
    assert "OCR & chart 1 question:" in read.replace("  ", " ")


def test_an_empty_answer_is_shown_as_such() -> None:
    assert "✓ (nothing)" in samples_page([sample(answer="  ")], title="quickstart")


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"benchmark\.images: .*b\.jpg cannot be read"):
        samples_page([sample(tmp_path / "b.jpg")], title="quickstart")
