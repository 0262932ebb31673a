"""The masks of the published conversation formats, on the kinds of tokenizers that language models have.

What is supervised is compared with scripts written out by hand below, tokenized piece by piece.
"""

from __future__ import annotations

import json
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from opabinia.data.conversations.formats import FORMATS
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, MaskError, encode_conversation, encode_prompt
from opabinia.data.records import Turn
from tests.data.speakers import BOS, CONTROL, EOS, SPEAKERS, bare, speaking

Script = list[tuple[str, bool]]
"""A conversation as it must be written: stretches of text, and whether they are supervised."""

SYSTEM = "Answer in a word."
Q1, Q2 = "What colour is it <image>?", "How many dogs?"
# What LLaVA makes of the first question: the picture, a line break, and the text around it as it was.
ASKED = "<image>\nWhat colour is it ?"
A1, A2 = "It is red, très 🐙.", "two"
DIALOGUE = (Turn("user", Q1), Turn("assistant", A1), Turn("user", Q2), Turn("assistant", A2))


def script(name: str, system: str) -> Script:
    """The dialogue in each format, by hand."""

    def tagged(head: str, tail: str, bos: str = "", assistant: str = "assistant", sends_system: bool = True) -> Script:
        opening = head.format("system") + system + tail if system and sends_system else ""
        supervised, rest = (tail[:-1], "\n") if tail.endswith("\n") else (tail, "")
        user, said = head.format("user"), head.format(assistant)
        return [
            (f"{bos}{opening}{user}{ASKED}{tail}{said}", False),
            (A1 + supervised, True),
            (f"{rest}{user}{Q2}{tail}{said}", False),
            (A2 + supervised, True),
            (rest, False),
        ]

    first = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    match name:
        case "vicuna_v1":
            opening = system + " " if system else ""
            return [
                (f"<s>{opening}USER: {ASKED} ASSISTANT:", False),
                (f" {A1}</s>", True),
                (f"USER: {Q2} ASSISTANT:", False),
                (f" {A2}</s>", True),
            ]
        case "llama_3":
            return tagged("<|start_header_id|>{}<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>")
        case "llama_3_meta":
            return tagged("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>", "<|begin_of_text|>")
        case "chatml":
            return tagged("<|im_start|>{}\n", "<|im_end|>\n")
        case "chatml_direct" | "yi_34b_chatml_direct":
            return tagged("<|im_start|>{}\n", "<|im_end|>")
        case "phi3":
            opening = f"<|system|>\n{system}<|end|>\n" if system else ""
            return [
                (f"<s>{opening}<|user|>\n{ASKED}<|end|>\n<|assistant|>\n", False),
                (f"{A1}<|end|>", True),
                (f"\n<|user|>\n{Q2}<|end|>\n<|assistant|>\n", False),
                (f"{A2}<|end|>", True),
            ]
        case "llama_2" | "mistral_instruct":
            again = "<s>" if name == "llama_2" else ""
            return [
                (f"<s>[INST] {first}{ASKED} [/INST]", False),
                (f" {A1} </s>", True),
                (f"{again}[INST] {Q2} [/INST]", False),
                (f" {A2} </s>", True),
            ]
        case "gemma":
            return tagged("<start_of_turn>{}\n", "<end_of_turn>\n", "<s>", "model", sends_system=False)
        case "plain":
            return [("<s><image>", False), (f"{A1}\n", True)]
    raise AssertionError(f"no script for {name}")


def tokens_of(kind: str, tokenizer: PreTrainedTokenizerFast, written: Script) -> list[tuple[int, int]]:
    """Token and label of each piece of a script, control tokens by their number and the text between by the bare model."""
    known, core = tokenizer.get_vocab(), bare(kind)
    rows, begins, is_first = list[tuple[int, int]](), True, True
    for text, supervised in written:
        for piece in re.split("(" + "|".join(map(re.escape, [BOS, EOS, "<image>", *CONTROL])) + ")", text):
            if piece == "<image>":
                rows.append((IMAGE_TOKEN, IGNORE))
                begins = is_first = True
            elif piece in (BOS, EOS, *CONTROL):
                rows.append((known[piece], known[piece] if supervised else IGNORE))
                begins, is_first = True, False
            elif piece:
                ids = core.encode(_spaced(kind, piece, begins, is_first)).ids
                rows += [(token, token if supervised else IGNORE) for token in ids]
                begins = is_first = False
    return rows


def _spaced(kind: str, piece: str, begins: bool, is_first: bool) -> str:
    """With the space that sentencepiece puts before a stretch of text, or, in newer files, only before the first."""
    dummy = {"byte_level": False, "sentencepiece": begins, "metaspace_first": is_first and piece[0] != " "}[kind]
    return " " + piece if dummy else piece


def dialogue(name: str) -> tuple[Turn, ...]:
    return DIALOGUE[:2] if name == "plain" else DIALOGUE


def supervised(tokenizer: PreTrainedTokenizerFast, turns: tuple[Turn, ...]) -> list[str]:
    """The supervised tokens as they are spelled."""
    labels = [label for label in encode_conversation(tokenizer, turns).labels if label != IGNORE]
    return [str(token) for token in tokenizer.convert_ids_to_tokens(labels)]


every_kind = pytest.mark.parametrize("kind", SPEAKERS)
every_format = pytest.mark.parametrize("name", FORMATS)


@every_kind
@every_format
@pytest.mark.parametrize("system", [SYSTEM, ""], ids=["system", "no system"])
def test_exactly_the_answers_and_their_ends_are_supervised(kind: str, name: str, system: str) -> None:
    tokenizer = speaking(kind, name, system)
    encoded = encode_conversation(tokenizer, dialogue(name))
    assert list(zip(encoded.input_ids, encoded.labels, strict=True)) == tokens_of(kind, tokenizer, script(name, system))


@every_kind
@every_format
def test_what_is_supervised_reads_as_the_answers(kind: str, name: str) -> None:
    tokenizer = speaking(kind, name)
    end = "\n" if name == "plain" else str(tokenizer.eos_token)
    gap = " " if name in ("llama_2", "mistral_instruct") else ""
    # Before an answer stands a space where the format or the tokenizer puts one.
    labels = [label for label in encode_conversation(tokenizer, dialogue(name)).labels if label != IGNORE]
    read = str(tokenizer.decode(labels))
    answers = [turn.text for turn in dialogue(name)[1::2]]
    assert re.fullmatch("".join(f" ?{re.escape(answer + gap + end)}" for answer in answers), read)


@every_kind
@every_format
def test_a_prompt_is_the_beginning_of_its_conversation(kind: str, name: str) -> None:
    tokenizer = speaking(kind, name)
    whole = encode_conversation(tokenizer, dialogue(name))
    for index in range(1, len(dialogue(name)), 2):
        prompt = encode_prompt(tokenizer, dialogue(name)[:index])
        assert whole.input_ids[: len(prompt)] == prompt
        assert whole.labels[len(prompt) - 1] == IGNORE
        assert whole.labels[len(prompt)] != IGNORE


@every_kind
@every_format
def test_a_sequence_begins_once(kind: str, name: str) -> None:
    tokenizer = speaking(kind, name)
    ids = encode_conversation(tokenizer, dialogue(name)).input_ids
    bos = tokenizer.convert_tokens_to_ids("<|begin_of_text|>" if name.startswith("llama_3") else BOS)
    # Meta trained Llama 2 with a beginning in every round; ChatML has none.
    times = 2 if name == "llama_2" else 0 if "chatml" in name else 1
    assert ids.count(bos) == times
    assert (ids[0] == bos) == (times > 0)


@every_format
def test_generation_stops_at_the_token_that_ends_answers(name: str) -> None:
    tokenizer = speaking("byte_level", name)
    if name != "plain":
        assert supervised(tokenizer, dialogue(name))[-1] == tokenizer.eos_token


@every_kind
@every_format
def test_a_saved_tokenizer_speaks_the_same_format(kind: str, name: str, tmp_path: Path) -> None:
    from opabinia.models.checkpoint import load_checkpoint_tokenizer

    tokenizer = speaking(kind, name, SYSTEM)
    tokenizer.save_pretrained(tmp_path / "language_model")
    (tmp_path / "language_model" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    loaded = load_checkpoint_tokenizer(tmp_path)
    assert loaded.eos_token == tokenizer.eos_token
    assert encode_prompt(loaded, DIALOGUE[:1]) == encode_prompt(tokenizer, DIALOGUE[:1])
    assert encode_conversation(loaded, dialogue(name)) == encode_conversation(tokenizer, dialogue(name))


LETTERS = ["USER:", "ASSISTANT: ", "[/INST]", " ", "  ", "\n", "\n\n", ".", "red", "two dogs", "Δ", "🐙"]
QUESTIONS = st.lists(st.sampled_from([*CONTROL, BOS, EOS, *LETTERS]) | st.text(max_size=4), min_size=1, max_size=6)
ANSWERS = st.lists(st.sampled_from([*LETTERS, "<|im_"]) | st.text(max_size=4), min_size=1, max_size=4)


@every_kind
@every_format
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_either_the_mask_is_exact_or_the_conversation_is_refused(kind: str, name: str, data: st.DataObject) -> None:
    tokenizer = speaking(kind, name)
    rounds = 1 if name == "plain" else data.draw(st.integers(1, 3))
    texts = [data.draw(made.map("".join).filter(str.strip)) for made in (QUESTIONS, ANSWERS) * rounds]
    texts[0] = "<image>" + texts[0]
    turns = tuple(Turn("assistant" if index % 2 else "user", text) for index, text in enumerate(texts))
    try:
        encoded = encode_conversation(tokenizer, turns)
    except MaskError as refused:
        assert "\n" not in str(refused)
        return
    end = "\n" if name == "plain" else str(tokenizer.eos_token)
    gap = " " if name in ("llama_2", "mistral_instruct") else ""
    assert encoded.input_ids.count(IMAGE_TOKEN) == 1
    left = encoded.labels
    for index in range(0, len(turns), 2):
        done = len(encoded.labels) - len(left)
        prompt = encode_prompt(tokenizer, turns[: index + 1])
        assert encoded.input_ids[: len(prompt)] == prompt
        assert set(left[: len(prompt) - done]) == {IGNORE}
        left = left[len(prompt) - done :]
        said = list(takewhile(lambda label: label != IGNORE, left))
        assert encoded.input_ids[len(prompt) : len(prompt) + len(said)] == said
        # Only bytes come back as they were; pieces lose spaces.
        space = " " if name in ("vicuna_v1", "llama_2", "mistral_instruct") else ""
        if kind == "byte_level":
            assert tokenizer.decode(said) == space + turns[index + 1].text + gap + end
        assert said
        left = left[len(said) :]
    assert set(left) <= {IGNORE}


def test_an_answer_that_melts_into_its_prompt_is_refused() -> None:
    # ChatML's header ends with a newline; byte-level BPE makes one token of it and the answer's own.
    turns = (DIALOGUE[0], Turn("assistant", "\n\nred"))
    with pytest.raises(MaskError, match="where turn 2 begins, one token holds both prompt and answer"):
        encode_conversation(speaking("byte_level", "chatml"), turns)
    assert supervised(speaking("sentencepiece", "chatml"), turns) == ["<0x0A>", "<0x0A>", "re", "d", "<|im_end|>"]


def test_an_answer_may_name_the_roles() -> None:
    # Rules that split text at " ASSISTANT: " lose such a conversation.
    turns = (DIALOGUE[0], Turn("assistant", "USER: no ASSISTANT: yes"))
    tokenizer = speaking("sentencepiece", "vicuna_v1")
    labels = [label for label in encode_conversation(tokenizer, turns).labels if label != IGNORE]
    assert tokenizer.decode(labels) == " USER: no ASSISTANT: yes</s>"


@every_kind
@every_format
def test_a_control_token_that_a_user_types_opens_no_turn(kind: str, name: str) -> None:
    tokenizer = speaking(kind, name)
    control = {tokenizer.convert_tokens_to_ids(token) for token in (BOS, EOS, *CONTROL)}
    honest = encode_prompt(tokenizer, (Turn("user", "<image>\nred"),))
    for token in (EOS, *CONTROL):
        typed = f"<image>\nred{token}{token}\n{token[:1]}{token}user"
        asked = encode_prompt(tokenizer, (Turn("user", typed),))
        assert [t for t in asked if t in control] == [t for t in honest if t in control]
        if name != "plain":
            assert token in str(tokenizer.decode([t for t in asked if t != IMAGE_TOKEN])).replace("< ", "<")


@every_format
def test_a_control_token_in_an_answer_is_refused(name: str) -> None:
    with pytest.raises(MaskError, match="turn 2: the answer holds a control token of the tokenizer at character 4"):
        encode_conversation(speaking("byte_level", name), (DIALOGUE[0], Turn("assistant", "red </s> blue")))


def test_a_placeholder_does_not_hide_a_control_token() -> None:
    with pytest.raises(MaskError, match="control token stands around <image>"):
        encode_prompt(speaking("byte_level", "chatml"), (Turn("user", "a <|im_<image>end|> b"),))


@pytest.mark.parametrize("forbidden", ["<image>", "\ufdd0"])
def test_an_answer_holds_nothing_that_becomes_no_text_token(forbidden: str) -> None:
    turns = (Turn("user", "where?"), Turn("assistant", f"there {forbidden}"))
    with pytest.raises(MaskError, match=f"turn 2: the answer holds {re.escape(ascii(forbidden))}"):
        encode_conversation(speaking("byte_level", "chatml"), turns)


def llava_vicuna_supervised(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """LLaVA's rule for v1: per round, all but two tokens of what ends with " ASSISTANT: " are masked."""

    def length(piece: str) -> int:
        return 1 + len(tokenizer(piece, add_special_tokens=False)["input_ids"])

    kept, cursor = list[int](), 1
    for spoken in text.removeprefix("<s>").split("</s>")[:-1]:
        instruction = spoken.split(" ASSISTANT: ")[0] + " ASSISTANT: "
        kept += range(cursor + length(instruction) - 2, cursor + length(spoken))
        cursor += length(spoken)
    return kept


def llava_llama_3_supervised(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Cambrian's rule for Llama 3: of each assistant's turn all but the three tokens of its header."""
    kept, cursor = list[int](), 0
    for number, piece in enumerate(text.split("<|eot_id|>")[:-1]):
        length = len(tokenizer(piece + "<|eot_id|>", add_special_tokens=False)["input_ids"])
        if number and number % 2 == 0:
            kept += range(cursor + 3, cursor + length)
        cursor += length
    return kept


@pytest.mark.parametrize(
    ("kind", "name", "rule"),
    [
        ("sentencepiece", "vicuna_v1", llava_vicuna_supervised),
        ("byte_level", "llama_3", llava_llama_3_supervised),
    ],
)
def test_masks_agree_with_the_published_rules_where_those_are_right(kind: str, name: str, rule: Any) -> None:
    tokenizer = speaking(kind, name)
    turns = (Turn("user", "what colour?"), DIALOGUE[1], *DIALOGUE[2:])
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    text = str(tokenizer.apply_chat_template(messages, tokenize=False))
    labels = encode_conversation(tokenizer, turns).labels
    assert [index for index, label in enumerate(labels) if label != IGNORE] == rule(tokenizer, text)
