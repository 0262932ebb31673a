"""What becomes of a task's chat messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from opabinia.data.records import Turn
from opabinia.evaluation.lmms_eval.prompts import to_prompt

PICTURE = Image.new("L", (4, 3), 7)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def image(picture: Image.Image | str = PICTURE) -> dict[str, Any]:
    return {"type": "image", "url": picture}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def test_the_picture_stands_on_a_line_of_its_own_before_the_words() -> None:
    prompt = to_prompt([user(image(), text("what is it ?"))])
    assert prompt.turns == (Turn("user", "<image>\nwhat is it ?"),)
    assert prompt.image is not None
    assert (prompt.image.mode, prompt.image.size) == ("RGB", (4, 3))


def test_the_picture_stands_where_the_task_puts_it() -> None:
    assert to_prompt([user(text("this:"), image(), text("or that ?"))]).turns[0].text == "this:\n<image>\nor that ?"


def test_a_placeholder_that_the_task_wrote_is_the_pictures_place() -> None:
    assert to_prompt([user(image(), text("is <image> red ?"))]).turns[0].text == "is <image> red ?"


@pytest.mark.parametrize("parts", [[image(), text("a <image> and <image> ?")], [text("a <image> and <image> ?")]])
def test_placeholders_without_pictures_are_left_out(parts: list[dict[str, Any]]) -> None:
    prompt = to_prompt([user(*parts)])
    assert prompt.turns[0].text.endswith("a  and  ?")
    assert prompt.turns[0].text.count("<image>") == len(parts) - 1 == prompt.has_picture


def test_a_question_without_a_picture_is_text() -> None:
    prompt = to_prompt([user(text("how many sides ?"))])
    assert (prompt.turns, prompt.has_picture) == ((Turn("user", "how many sides ?"),), False)


def test_what_the_system_says_goes_before_the_users_first_words() -> None:
    system = {"role": "system", "content": [text("Be brief.")]}
    before = {"role": "assistant", "content": [text("a cross")]}
    prompt = to_prompt([system, user(image(), text("what ?")), before, user(text("which colour ?"))])
    assert [turn.text for turn in prompt.turns] == ["<image>\nBe brief.\nwhat ?", "a cross", "which colour ?"]
    assert [turn.role for turn in prompt.turns] == ["user", "assistant", "user"]


def test_a_picture_may_be_a_file(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    prompt = to_prompt([user(image(str(tmp_path / "a.png")), text("what ?"))])
    assert prompt.image is not None
    assert prompt.image.getpixel((0, 0)) == (7, 7, 7)


def test_of_several_pictures_the_first_alone_is_shown_where_that_is_wanted() -> None:
    other = image(Image.new("RGB", (9, 9)))
    messages = [user(text("this:"), image(), other, text("is <image> like <image> ?")), user(other, text("sure ?"))]
    prompt = to_prompt(messages, first_picture_alone=True)
    assert [turn.text for turn in prompt.turns] == ["this:\n<image>\nis  like  ?", "sure ?"]
    assert prompt.image is not None
    assert prompt.image.size == PICTURE.size


def test_one_picture_is_shown_as_ever_where_several_may_come() -> None:
    messages = [user(image(), text("is <image> red ?"))]
    assert to_prompt(messages, first_picture_alone=True).turns == to_prompt(messages).turns


@pytest.mark.parametrize(
    "parts, reason",
    [
        (
            [image(), image(), text("which ?")],
            "2 pictures in one question, but the model is shown one; add several_pictures=first",
        ),
        (
            [{"type": "video", "url": "a.mp4"}, text("what ?")],
            "video in a question, but the model reads texts and pictures",
        ),
        ([image("/nowhere/a.png"), text("what ?")], "/nowhere/a.png cannot be read as an image"),
    ],
)
def test_what_the_model_cannot_be_shown_is_refused_in_one_line(parts: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        to_prompt([user(*parts)])
    assert "\n" not in str(refused.value)
