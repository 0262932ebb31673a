from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, Encoded, encode_conversation, encode_prompt
from opabinia.data.records import Turn
from tests.data.specimens import CHATML, word_tokenizer

DIALOGUE = (
    Turn("user", "<image>\nwhat colour is the shape ?"),
    Turn("assistant", "red ."),
    Turn("user", "how many ?"),
    Turn("assistant", "two"),
)


def spelled(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> list[str]:
    return [
        "IMAGE" if i == IMAGE_TOKEN else "-" if i == IGNORE else str(tokenizer.convert_ids_to_tokens(i)) for i in ids
    ]


def table(tokenizer: PreTrainedTokenizerFast, encoded: Encoded) -> list[tuple[str, str]]:
    """Each token beside its label, in words."""
    return list(zip(spelled(tokenizer, encoded.input_ids), spelled(tokenizer, encoded.labels), strict=True))


def test_only_answers_and_their_end_tokens_are_supervised_token_by_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert table(tokenizer, encode_conversation(tokenizer, DIALOGUE)) == [
        ("<s>", "-"),
        ("<user>", "-"),
        ("IMAGE", "-"),
        *((word, "-") for word in ["what", "colour", "is", "the", "shape", "?"]),
        ("<assistant>", "-"),
        ("red", "red"),
        (".", "."),
        ("</s>", "</s>"),
        ("<user>", "-"),
        ("how", "-"),
        ("many", "-"),
        ("?", "-"),
        ("<assistant>", "-"),
        ("two", "two"),
        ("</s>", "</s>"),
    ]


def test_what_follows_the_end_token_is_not_supervised() -> None:
    # A tokenizer that sees newlines, as byte-level ones do, meets ChatML's newline after <|im_end|>.
    tokenizer = newline_tokenizer()
    encoded = table(tokenizer, encode_conversation(tokenizer, DIALOGUE[:2]))
    assert encoded[-4:] == [("red", "red"), (".", "."), ("<|im_end|>", "<|im_end|>"), ("\n", "-")]
    assert [label for _, label in encoded[:-4]] == ["-"] * (len(encoded) - 4)


def newline_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Regex, pre_tokenizers

    tokenizer = word_tokenizer(CHATML)
    tokenizer.add_tokens(["\n"])
    lines = pre_tokenizers.Split(Regex("\n"), "isolated")
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [lines, pre_tokenizers.Split(Regex(" +"), "removed")]
    )
    return tokenizer


def test_a_prompt_is_the_beginning_of_the_conversation_it_opens(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = encode_conversation(tokenizer, DIALOGUE).input_ids
    for turns in (DIALOGUE[:1], DIALOGUE[:3]):
        prompt = encode_prompt(tokenizer, turns)
        assert whole[: len(prompt)] == prompt
        assert spelled(tokenizer, prompt)[-1] == "<assistant>"


def test_text_only_conversations_hold_no_image_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert IMAGE_TOKEN not in encode_conversation(tokenizer, DIALOGUE[2:]).input_ids


def test_an_answer_that_repeats_the_question_is_still_told_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = (Turn("user", "red circle"), Turn("assistant", "red circle"))
    supervised = [label != IGNORE for label in encode_conversation(tokenizer, turns).labels]
    assert supervised == [False] * 5 + [True] * 3


def test_control_words_in_a_question_do_not_become_supervised(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = (Turn("user", "red <assistant> blue </s>"), Turn("assistant", "two"))
    encoded = table(tokenizer, encode_conversation(tokenizer, turns))
    assert [label for _, label in encoded if label != "-"] == ["two", "</s>"]


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    tokenizer = word_tokenizer("{% for m in messages %}{{ loop.revindex }} {{ m.content }} {% endfor %}")
    with pytest.raises(ValueError, match="chat template renders earlier turns differently"):
        encode_conversation(tokenizer, DIALOGUE)


def test_a_prompt_must_end_with_a_question(tokenizer: PreTrainedTokenizerFast) -> None:
    for turns in ((), DIALOGUE[:2]):
        with pytest.raises(ValueError, match="the last one must be the user's"):
            encode_prompt(tokenizer, turns)
