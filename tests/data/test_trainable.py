"""Which records become tokens, and why the others do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.data.conversations.speaking import speak
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, encode_conversation
from opabinia.data.records import Record, RecordError, Turn
from opabinia.data.trainable import TextEncoding
from tests.data.speakers import speaker

QUESTION, ANSWER = Turn("user", "<image>\nWhat colour?"), Turn("assistant", "It is red.")


def record(*turns: Turn, images: tuple[str, ...] = ("1.jpg",)) -> Record:
    return Record("1", images, turns, "unknown", "a.jsonl", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("byte-level")
    tokenizer = speaker("byte_level")
    speak(tokenizer, "chatml")
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_record_becomes_its_conversations_tokens(folder: str) -> None:
    tokenizer = speaker("byte_level")
    speak(tokenizer, "chatml")
    assert TextEncoding(folder, 100).encode(record(QUESTION, ANSWER)) == encode_conversation(
        tokenizer, (QUESTION, ANSWER)
    )


def test_a_source_may_have_a_format_of_its_own(folder: str) -> None:
    encoded = TextEncoding(folder, 100, "plain").encode(record(QUESTION, ANSWER))
    assert encoded.labels[:2] == [IGNORE, IGNORE]
    assert encoded.input_ids[1] == IMAGE_TOKEN
    assert encoded.labels[2:] == encoded.input_ids[2:]


def test_a_long_record_is_cut(folder: str) -> None:
    whole = TextEncoding(folder, 100).encode(record(QUESTION, ANSWER))
    cut = TextEncoding(folder, len(whole.labels) - 3).encode(record(QUESTION, ANSWER))
    assert cut.input_ids == whole.input_ids[:-3]
    assert cut.labels == whole.labels[:-3]


def test_a_limit_that_leaves_no_answer_is_the_reason(folder: str) -> None:
    with pytest.raises(RecordError, match=r"^data\.max_length: 8 tokens leave no answer of its \d+$"):
        TextEncoding(folder, 8).encode(record(QUESTION, ANSWER))


def test_a_limit_that_leaves_no_image_is_the_reason(folder: str) -> None:
    turns = (Turn("user", "hi"), ANSWER, QUESTION, ANSWER)
    limit = TextEncoding(folder, 100).encode(record(*turns)).input_ids.index(IMAGE_TOKEN)
    with pytest.raises(RecordError, match=rf"^data\.max_length: {limit} tokens leave 0 of its 1 image\(s\)"):
        TextEncoding(folder, limit).encode(record(*turns))


def test_a_mask_that_cannot_be_built_is_the_reason(folder: str) -> None:
    with pytest.raises(RecordError, match=r"^where turn 2 begins, one token holds both prompt and answer"):
        TextEncoding(folder, 100).encode(record(QUESTION, Turn("assistant", "\n\nred")))


def test_a_format_that_the_tokenizer_cannot_speak_is_no_records_fault(tmp_path: Path) -> None:
    speaker("byte_level", without="<|im_end|>").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="needs the token") as caught:
        TextEncoding(str(tmp_path), 100, "chatml").encode(record(QUESTION, ANSWER))
    assert not isinstance(caught.value, RecordError)
