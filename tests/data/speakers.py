"""Small tokenizers of the two kinds that language models have, trained on a few sentences, with the control tokens of every format."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from opabinia.data.conversations.formats import FORMATS
from opabinia.data.conversations.speaking import speak

CORPUS = [
    "What colour is the shape in the picture? It is red. How many circles are there? There are two of them.",
    "The answer is yes. The answer is no. Please look carefully and describe the image: a small blue square.",
    "USER: what do you see? ASSISTANT: a red circle and a dog near the house [INST] tell me [/INST]",
    "user\nassistant\nsystem\nmodel\n\nA chat between a curious user and an assistant.\n",
] * 4
BOS, EOS = "<s>", "</s>"
CONTROL = tuple(dict.fromkeys(token for spoken in FORMATS.values() for token in spoken.control))
# Llama 3's: letters with one leading sign or space, digits by threes, signs with the newlines after them, newlines, spaces.
_LLAMA_3_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level() -> PreTrainedTokenizerFast:
    """As Llama 3, Qwen and Phi have it: byte-level BPE, whose words begin with their space."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA_3_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet))
    return _finished(core)


def sentencepiece() -> PreTrainedTokenizerFast:
    """As Llama 2, Vicuna and Mistral have it: a space before every stretch of text, ▁ for spaces, bytes for what is unknown."""
    core = Tokenizer(_with_bytes(pre_tokenizers.Metaspace()))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = _piece_decoder()
    return _finished(core)


def metaspace_first() -> PreTrainedTokenizerFast:
    """Sentencepiece as newer tokenizer files write it: a space only before what stands first."""
    core = Tokenizer(_with_bytes(pre_tokenizers.Metaspace()))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = _piece_decoder()
    return _finished(core)


SPEAKERS = {"byte_level": byte_level, "sentencepiece": sentencepiece, "metaspace_first": metaspace_first}


@cache
def _trained(kind: str) -> str:
    return SPEAKERS[kind]().backend_tokenizer.to_str()


def speaker(kind: str, *, without: str = "") -> PreTrainedTokenizerFast:
    """A fresh tokenizer of that kind with every control token, or with all but one."""
    tokenizer = _wrapped(Tokenizer.from_str(_trained(kind)))
    tokens = [AddedToken(token, special=True, normalized=False) for token in CONTROL if token != without]
    tokenizer.add_tokens(tokens, special_tokens=True)
    return tokenizer


def speaking(kind: str, name: str, system: str | None = None) -> PreTrainedTokenizerFast:
    """One that speaks in a format, with that system text where the format has a place for one."""
    tokenizer = speaker(kind)
    speak(tokenizer, name, None if FORMATS[name].system is None else system)
    return tokenizer


def bare(kind: str) -> Tokenizer:
    """The tokenizer's model alone: it adds no space of its own and knows no control token."""
    core = Tokenizer.from_str(_trained(kind))
    if kind == "sentencepiece":
        core.normalizer = normalizers.Replace(" ", "▁")
    if kind == "metaspace_first":
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    return core


def _with_bytes(words: pre_tokenizers.PreTokenizer) -> models.BPE:
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = words
    # Without newlines: published vocabularies have none, and write them as bytes.
    lines = [line for text in CORPUS for line in text.splitlines()]
    core.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"]))
    model: dict[str, Any] = json.loads(core.to_str())["model"]
    vocab: dict[str, int] = model["vocab"]
    known = {**vocab, **{piece: len(vocab) + index for index, piece in enumerate(_BYTES)}}
    return models.BPE(known, [tuple(m) for m in model["merges"]], unk_token="<unk>", byte_fallback=True, fuse_unk=True)


def _piece_decoder() -> decoders.Decoder:
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])


def _finished(core: Tokenizer) -> PreTrainedTokenizerFast:
    core.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", BOS, EOS)])
    return _wrapped(core)


def _wrapped(core: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=BOS, eos_token=EOS, unk_token="<unk>")
