"""The parts of OpenAI's chat completion protocol that are served, as it is sent over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

FinishReason = Literal["stop", "length"]

_INT64 = 2**63


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise PydanticCustomError("content_type", "a string or an array of content parts is expected")
    return cast(object, content)


def _as_list(stop: object) -> object:
    if stop is None:
        return []
    if not isinstance(stop, str | list):
        raise PydanticCustomError("stop_type", "a string or an array of strings is expected")
    return [stop] if isinstance(stop, str) else cast(object, stop)


class _Received(BaseModel):
    # Strict: "5" is not a number and 1 is not a boolean, as OpenAI has it.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(_Received):
    type: Literal["text"]
    text: str


class ImageUrl(_Received):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(_Received):
    type: Literal["image_url"]
    image_url: ImageUrl


UserPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
TextParts = Annotated[list[TextPart], BeforeValidator(_as_parts)]
UserParts = Annotated[list[UserPart], BeforeValidator(_as_parts)]


class SystemMessage(_Received):
    role: Literal["system", "developer"]
    content: TextParts
    name: str | None = None


class UserMessage(_Received):
    role: Literal["user"]
    content: UserParts
    name: str | None = None


class AssistantMessage(_Received):
    """An earlier answer. Clients send back what they received, so the fields of an answer are known here too."""

    role: Literal["assistant"]
    content: TextParts
    name: str | None = None
    refusal: None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]


class StreamOptions(_Received):
    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(_Received):
    """What is honoured; `unsupported` lists what else OpenAI knows."""

    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4), BeforeValidator(_as_list)] = Field(
        default_factory=list[str]
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """`created` is in Unix seconds."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Delta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: FinishReason | None = None


class ChatChunk(BaseModel):
    """One event of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class ModelCard(BaseModel):
    """`created` is the Unix second from which it is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "opabinia"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]
