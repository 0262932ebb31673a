"""Small real data: a word tokenizer with a chat template, pictures, and shards of conversations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

TEXT = "a red blue circle square what colour is the shape how many two three ? . ,"
SPECIAL = ["<unk>", "<pad>", "<s>", "</s>", "<user>", "<assistant>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %} <user> {{ m.content }}"
    "{% else %} <assistant> {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def word_tokenizer(template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    words = [*SPECIAL, *TEXT.split(), *map(str, range(100)), "<|im_start|>", "<|im_end|>", "user", "assistant"]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<user>", "<assistant>", "<|im_start|>", "<|im_end|>"],
    )
    tokenizer.chat_template = template
    return tokenizer


def conversation(index: int, image: str | None = None, **changes: Any) -> dict[str, Any]:
    """A sound record whose answer carries `index`, so that a test can tell which record a row came from."""
    question = "what colour is the shape ?" if image is None else "<image>\nwhat colour is the shape ?"
    record = {
        "id": index,
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": f"a red circle {index}"}],
    }
    return record | ({} if image is None else {"image": image}) | changes


def write_lines(path: Path, lines: Iterable[str | dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def save_picture(path: Path, shade: int = 0, size: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (shade % 256, 255 - shade % 256, 90)).save(path)
    return path
