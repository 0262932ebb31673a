"""The published formats as chat templates, so that tokenizer, checkpoint and server all read the same text.

Each begins where a template's own preamble (see `formats`) has set `system` (text, may be empty), `bos` and `messages`, and has
defined `asked(text)`, a question with its picture moved to the front. A generation prompt ends before the space that an answer begins
with: sentencepiece makes one token of the space and the word after it.
"""

from __future__ import annotations

_TURNS = "{%- for message in messages -%}{%- if message['role'] == 'user' -%}"
_ANSWER = "{%- else -%}"
_END = "{%- endif -%}{%- endfor -%}"


def _alternating(opening: str, question: str, answer: str, prompt: str) -> str:
    """A template from Jinja expressions for what stands first, a user's turn, an assistant's turn, and before an answer."""
    ask, say = f"{{{{- {question} -}}}}", f"{{{{- {answer} -}}}}"
    generation = f"{{%- if add_generation_prompt -%}}{{{{- {prompt} -}}}}{{%- endif -%}}" if prompt else ""
    return f"{{{{- {opening} -}}}}{_TURNS}{ask}{_ANSWER}{say}{_END}{generation}"


def _tagged(head: str, tail: str, *, bos: str = "''", assistant: str = "assistant", system: bool = True) -> str:
    """Turns between a header that names the role and an end mark; the system text is such a turn too, where there is one."""

    def header(role: str) -> str:
        return f"'{head.format(role)}'"

    first = f"{bos} ~ ({header('system')} ~ system ~ '{tail}' if system else '')" if system else bos
    return _alternating(
        first,
        f"{header('user')} ~ asked(message['content']) ~ '{tail}'",
        f"{header(assistant)} ~ message['content'] ~ '{tail}'",
        header(assistant),
    )


VICUNA_V1 = _alternating(
    "bos ~ (system ~ ' ' if system else '')",
    "'USER: ' ~ asked(message['content']) ~ ' '",
    "'ASSISTANT: ' ~ message['content'] ~ eos_token",
    "'ASSISTANT:'",
)

_LLAMA_3_HEADER = "<|start_header_id|>{}<|end_header_id|>"
_LLAMA_3_BOS = "'<|begin_of_text|>'"
LLAMA_3 = _tagged(_LLAMA_3_HEADER, "<|eot_id|>", bos=_LLAMA_3_BOS)
"""Cambrian's: no blank line after a header."""

LLAMA_3_META = _tagged(_LLAMA_3_HEADER + "\\n\\n", "<|eot_id|>", bos=_LLAMA_3_BOS)

_CHATML_HEADER = "<|im_start|>{}\\n"
CHATML = _tagged(_CHATML_HEADER, "<|im_end|>\\n")

CHATML_DIRECT = _tagged(_CHATML_HEADER, "<|im_end|>")
"""LLaVA's, Eagle's and Cambrian's: no newline between turns."""

PHI3 = _alternating(
    "bos ~ ('<|system|>\\n' ~ system ~ '<|end|>\\n' if system else '')",
    "('' if loop.first else '\\n') ~ '<|user|>\\n' ~ asked(message['content']) ~ '<|end|>'",
    "'\\n<|assistant|>\\n' ~ message['content'] ~ '<|end|>'",
    "'\\n<|assistant|>\\n'",
)

_INSTRUCTION = (
    "'[INST] ' ~ ('<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' if loop.first and system else '') "
    "~ asked(message['content']) ~ ' [/INST]'"
)
_INSTRUCTED = "' ' ~ message['content'] ~ ' ' ~ eos_token"

LLAMA_2 = _alternating("''", f"bos ~ {_INSTRUCTION}", _INSTRUCTED, "")
"""Every round opens with the token that begins a sequence, as Meta trained it."""

MISTRAL_INSTRUCT = _alternating("bos", _INSTRUCTION, _INSTRUCTED, "")

GEMMA = _tagged("<start_of_turn>{}\\n", "<end_of_turn>\\n", bos="bos", assistant="model", system=False)

PLAIN = (
    "{{- bos -}}{%- if messages | length > 2 -%}"
    "{{- raise_exception('a plain caption has one question and one answer, got ' ~ messages | length ~ ' turns') -}}"
    "{%- endif -%}{%- for message in messages -%}{%- if message['role'] != 'user' -%}{{- message['content'] ~ '\\n' -}}"
    "{%- elif '<image>' in message['content'] -%}{{- '<image>' -}}"
    "{%- else -%}{{- raise_exception('a plain caption needs a picture, and the question holds none') -}}{%- endif -%}{%- endfor -%}"
)
"""LLaVA's alignment stage: the picture, its caption and a newline; the question itself is dropped."""
