"""What the published conversation formats write, and what they refuse."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from opabinia.data.conversations import system_texts
from opabinia.data.conversations.formats import ALIASES, FORMATS, find_format
from opabinia.data.conversations.speaking import speak
from opabinia.data.prompts import MaskError, encode_conversation, encode_prompt
from opabinia.data.records import Turn
from tests.data.speakers import speaker, speaking

SYSTEM = "Answer in a word."
PICTURED = (Turn("user", "<image>\nWhat colour?"), Turn("assistant", "red"))
PLAIN_TEXT = (Turn("user", "How many dogs?"), Turn("assistant", "two"))


@pytest.mark.parametrize(
    ("text", "length", "digest"),
    [
        (system_texts.VICUNA, 154, "1fa69e23"),
        ("<|system|>\n" + system_texts.PHI3, 42, "696cf443"),
        ("<|im_start|>system\n" + system_texts.CAMBRIAN, 434, "e6bdf950e0fa4203381e720de1763dcf73a8b36efc6cf95d1886d780fad224b3"),
        (system_texts.CAMBRIAN_LLAMA_3, 425, "a63d7693aaa6fb85b9f24405a244fd99a0c0610345cd9111e5cb88132b20971a"),
    ],
    ids=["vicuna", "phi3", "cambrian", "cambrian llama 3"],
)  # fmt: skip
def test_system_texts_are_the_published_ones_to_the_character(text: str, length: int, digest: str) -> None:
    assert len(text) == length
    assert hashlib.sha256(text.encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize("name", [name for name, spoken in FORMATS.items() if spoken.system])
def test_a_format_begins_with_its_own_system_text_unless_another_is_given(name: str) -> None:
    text = FORMATS[name].system or ""
    messages = [{"role": "user", "content": "hi"}]
    for tokenizer, expected in ((speaking("byte_level", name), text), (speaking("byte_level", name, SYSTEM), SYSTEM)):
        rendered = str(tokenizer.apply_chat_template(messages, tokenize=False))
        assert rendered.count(expected) == 1
        assert (text in rendered) == (expected == text)
        said = [{"role": "system", "content": "Be brief."}, *messages]
        assert str(tokenizer.apply_chat_template(said, tokenize=False)) == rendered.replace(expected, "Be brief.")


@settings(max_examples=60, deadline=None)
@given(
    system=st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["{{ x }}", "{% raw %}", '"\\n"', "#}"])
)
def test_any_system_text_is_written_as_it_stands(system: str) -> None:
    tokenizer = speaking("byte_level", "llama_3", system)
    rendered = str(tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False))
    header = "<|start_header_id|>{}<|end_header_id|>"
    opening = header.format("system") + system + "<|eot_id|>" if system else ""
    assert rendered == f"<|begin_of_text|>{opening}{header.format('user')}hi<|eot_id|>"


@pytest.mark.parametrize("name", [name for name, spoken in FORMATS.items() if spoken.system is None])
def test_a_format_without_a_place_for_system_text_refuses_one(name: str) -> None:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "<image>"}]
    tokenizer = speaking("byte_level", name)
    with pytest.raises(TemplateError, match="no place for a system text"):
        tokenizer.apply_chat_template(messages, tokenize=False)


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("<image>\nred?", "<image>\nred?"),
        ("red?\n<image>", "<image>\nred?"),
        ("is <image> red ?", "<image>\nis  red ?"),
        (" <image> ", "<image>"),
        (" red? ", " red? "),
    ],
)
def test_the_picture_stands_first_in_its_turn(asked: str, written: str) -> None:
    tokenizer = speaking("byte_level", "chatml")
    text = str(tokenizer.apply_chat_template([{"role": "user", "content": asked}], tokenize=False))
    assert text == f"<|im_start|>user\n{written}<|im_end|>\n"


def test_captions_need_a_picture_and_one_round() -> None:
    tokenizer = speaking("byte_level", "plain")
    with pytest.raises(MaskError, match="a plain caption needs a picture"):
        encode_conversation(tokenizer, PLAIN_TEXT)
    with pytest.raises(MaskError, match="a plain caption has one question and one answer, got 4 turns"):
        encode_conversation(tokenizer, PICTURED + PLAIN_TEXT)


def test_a_tokenizer_that_lacks_a_token_is_refused_by_the_name_of_the_token() -> None:
    for name, spoken in FORMATS.items():
        for token in spoken.control:
            with pytest.raises(ValueError, match=f"^conversation: '{name}' needs the token '{re.escape(token)}'"):
                speak(speaker("byte_level", without=token), name)


def test_a_tokenizer_without_an_end_of_sequence_cannot_speak_formats_that_end_with_it() -> None:
    for name in ("vicuna_v1", "llama_2", "mistral_instruct"):
        tokenizer = speaker("byte_level")
        tokenizer.eos_token = None
        with pytest.raises(ValueError, match=f"^conversation: '{name}' ends answers with eos_token"):
            speak(tokenizer, name)


def test_a_tokenizer_without_a_beginning_of_sequence_writes_none() -> None:
    tokenizer = speaker("byte_level")
    tokenizer.bos_token = None
    speak(tokenizer, "vicuna_v1", "")
    assert str(tokenizer.decode(encode_prompt(tokenizer, PLAIN_TEXT[:1]))) == "USER: How many dogs? ASSISTANT:"


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(
        ValueError, match=r"^conversation: unknown conversation format 'vicuna_v2'; did you mean 'vicuna_v1'"
    ):
        find_format("vicuna_v2", "conversation")


def test_published_aliases_lead_to_formats() -> None:
    assert {find_format(alias, "x") is FORMATS[name] for alias, name in ALIASES.items()} == {True}
    assert find_format("v1", "x") is FORMATS["vicuna_v1"]


def test_a_template_of_the_tokenizers_own_must_end_its_answers() -> None:
    tokenizer = speaker("byte_level")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    with pytest.raises(MaskError, match="turn 2: the chat template writes nothing that ends the answer"):
        encode_conversation(tokenizer, (Turn("user", "a"), Turn("assistant", "b")))


def test_a_template_of_the_tokenizers_own_must_not_rewrite_answers() -> None:
    tokenizer = speaker("byte_level")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role + ': ' + m.content | upper }}</s>{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    with pytest.raises(MaskError, match="turn 2: the chat template writes other text where the answer must stand"):
        encode_conversation(tokenizer, (Turn("user", "a"), Turn("assistant", "b")))
