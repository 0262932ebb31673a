"""The conversation formats by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from opabinia.data.conversations import system_texts, templates
from opabinia.data.records import PLACEHOLDER
from opabinia.names import unknown

# LLaVA moves the picture to the front of its turn in training and in serving, whatever the author wrote.
_IMAGE_FIRST = (
    f"{{%- macro asked(text) -%}}{{%- if '{PLACEHOLDER}' in text -%}}"
    f"{{{{- ('{PLACEHOLDER}\\n' * text.count('{PLACEHOLDER}') + text.replace('{PLACEHOLDER}', '').strip()).strip() -}}}}"
    "{%- else -%}{{- text -}}{%- endif -%}{%- endmacro -%}"
)
_SYSTEM = (
    "{%- set bos = bos_token or '' -%}{%- set system = %SYSTEM% -%}"
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set system = messages[0]['content'] -%}{%- set messages = messages[1:] -%}{%- endif -%}"
)
_NO_SYSTEM = (
    "{%- set bos = bos_token or '' -%}{%- if messages and messages[0]['role'] == 'system' -%}"
    "{{- raise_exception('this conversation format has no place for a system text') -}}{%- endif -%}"
)


@dataclass(frozen=True, slots=True)
class ConversationFormat:
    """How turns become text.

    body: the chat template after its preamble. control: tokens that the tokenizer must know whole. end: the one of them that ends an
    answer, None where that is the tokenizer's own end of sequence (or, for captions, a newline). system: the system text unless another
    is given, None where the format has no place for one. questions: whether the text of questions is kept.
    """

    body: str
    control: tuple[str, ...] = ()
    end: str | None = None
    system: str | None = ""
    questions: bool = True

    @property
    def needs_eos(self) -> bool:
        return "eos_token" in self.body

    def template(self, system: str | None = None) -> str:
        """The whole chat template, with `system` in place of the format's own system text unless None."""
        if self.system is None:
            return _IMAGE_FIRST + _NO_SYSTEM + self.body
        text = self.system if system is None else system
        # A JSON string is a Jinja string too, except for pairs of surrogates, which ensure_ascii would write.
        return _IMAGE_FIRST + _SYSTEM.replace("%SYSTEM%", json.dumps(text, ensure_ascii=False)) + self.body


_LLAMA_3_TOKENS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
_PHI3_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")

FORMATS: Mapping[str, ConversationFormat] = {
    "vicuna_v1": ConversationFormat(templates.VICUNA_V1, system=system_texts.VICUNA),
    "llama_3": ConversationFormat(templates.LLAMA_3, _LLAMA_3_TOKENS, "<|eot_id|>", system_texts.CAMBRIAN_LLAMA_3),
    "llama_3_meta": ConversationFormat(templates.LLAMA_3_META, _LLAMA_3_TOKENS, "<|eot_id|>"),
    "chatml": ConversationFormat(templates.CHATML, _CHATML_TOKENS, "<|im_end|>"),
    "chatml_direct": ConversationFormat(templates.CHATML_DIRECT, _CHATML_TOKENS, "<|im_end|>", system_texts.CAMBRIAN),
    # Its short system text is not known here to the character: data.system takes it.
    "yi_34b_chatml_direct": ConversationFormat(templates.CHATML_DIRECT, _CHATML_TOKENS, "<|im_end|>"),
    "phi3": ConversationFormat(templates.PHI3, _PHI3_TOKENS, "<|end|>", system_texts.PHI3),
    "mistral_instruct": ConversationFormat(templates.MISTRAL_INSTRUCT),
    "llama_2": ConversationFormat(templates.LLAMA_2),
    "gemma": ConversationFormat(templates.GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<end_of_turn>", system=None),
    "plain": ConversationFormat(templates.PLAIN, system=None, questions=False),
}
"""By the names that LLaVA, Eagle and Cambrian use in their scripts."""

ALIASES: Mapping[str, str] = {
    "v1": "vicuna_v1",
    "llama_v3": "llama_3",
    "cambrian_chatml": "chatml_direct",
    "mistral_direct": "chatml_direct",
    "mistral": "mistral_instruct",
}


def find_format(name: str, place: str) -> ConversationFormat:
    """Raises ValueError naming `place`, a field, and the nearest known name when there is none of that name."""
    found = FORMATS.get(ALIASES.get(name, name))
    if found is None:
        raise unknown("conversation format", name, [*FORMATS, *ALIASES], place=place)
    return found
