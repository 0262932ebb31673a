"""From OpenAI's messages to the prompt that a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from opabinia.data.records import PLACEHOLDER, Turn
from opabinia.models.answering import Prompt
from opabinia.serving.errors import invalid
from opabinia.serving.images import decode_image
from opabinia.serving.schema import AssistantMessage, ImagePart, SystemMessage, TextPart, UserMessage

if TYPE_CHECKING:
    from PIL import Image

    from opabinia.serving.config import ServingConfig

Message = SystemMessage | UserMessage | AssistantMessage

MAX_IMAGES = 1


def to_prompt(messages: Sequence[Message], config: ServingConfig) -> Prompt:
    """Decode the picture, if there is one, and turn the messages into alternating turns that end with the user's.

    The placeholder stands on its own line before the text of the message that carries the picture, as in training.
    Chat templates of small models know no system role, so system text goes before the user's first words. Raises
    ApiError (400) for a broken image or too many, a conversation that does not begin and end with the user, an empty
    message, too much text, and text that holds the placeholder itself.
    """
    _check_length(messages, config.max_text_characters)
    _check_texts(messages)
    image = _only_image(messages, config)
    instructions = [_text(message) for message in messages if isinstance(message, SystemMessage)]
    spoken = [message for message in messages if not isinstance(message, SystemMessage)]
    if not spoken or spoken[-1].role != "user":
        raise invalid("The last message must be a user's.", param="messages", code="invalid_value")
    if spoken[0].role != "user":
        raise invalid("The first message must be a user's or system's.", param="messages", code="invalid_value")
    turns = [_turn(spoken[0], instructions), *(_turn(message) for message in spoken[1:])]
    return Prompt(turns=tuple(_merge(turns)), image=image)


def _only_image(messages: Sequence[Message], config: ServingConfig) -> Image.Image | None:
    found = list(_images(messages))
    if len(found) > MAX_IMAGES:
        message = f"Too many images: {len(found)}; this server answers about {MAX_IMAGES} image at a time."
        raise invalid(message, param=found[MAX_IMAGES][0], code="too_many_images")
    for param, part in found:
        return decode_image(part.image_url.url, config, param=f"{param}.image_url.url")
    return None


def _images(messages: Sequence[Message]) -> Iterator[tuple[str, ImagePart]]:
    for index, message in enumerate(messages):
        for position, part in enumerate(message.content):
            if isinstance(part, ImagePart):
                yield f"messages[{index}].content[{position}]", part


def _turn(message: UserMessage | AssistantMessage, instructions: Sequence[str] = ()) -> Turn:
    pictures = [PLACEHOLDER for part in message.content if isinstance(part, ImagePart)]
    lines = [*pictures, *instructions, _text(message)]
    return Turn(message.role, "\n".join(line for line in lines if line))


def _text(message: Message) -> str:
    return "\n".join(part.text for part in message.content if isinstance(part, TextPart))


def _merge(turns: Sequence[Turn]) -> list[Turn]:
    """Join neighbours of one role: OpenAI allows them, chat templates want alternation."""
    merged = list[Turn]()
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, f"{merged[-1].text}\n{turn.text}")
        else:
            merged.append(turn)
    return merged


def _check_length(messages: Sequence[Message], limit: int) -> None:
    length = sum(len(_text(message)) for message in messages)
    if length > limit:
        message = f"The conversation is {length} characters long; at most {limit} are accepted."
        raise invalid(message, param="messages", code="context_length_exceeded")


def _check_texts(messages: Sequence[Message]) -> None:
    for index, message in enumerate(messages):
        text, has_image = _text(message), any(isinstance(part, ImagePart) for part in message.content)
        if PLACEHOLDER in text:
            reason = f"the text holds '{PLACEHOLDER}', which stands for a picture; send that as an image_url part"
        elif not isinstance(message, SystemMessage) and not text.strip() and not has_image:
            reason = "the message is empty"
        else:
            continue
        param = f"messages[{index}].content"
        raise invalid(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")
