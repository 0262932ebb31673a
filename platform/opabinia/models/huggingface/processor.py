"""Pictures and texts as an exported model takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import load_image
from transformers.processing_utils import ProcessorMixin

from opabinia.data.records import PLACEHOLDER
from opabinia.encoders.catalogue import find_encoder
from opabinia.models.layout import visual_length

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedTokenizerFast

_FLATTEN = (
    "{%- set flat = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- set text = namespace(joined=message['content'] if message['content'] is string else '') -%}"
    "{%- if message['content'] is not string -%}{%- for part in message['content'] -%}"
    "{%- set text.joined = text.joined + ('" + PLACEHOLDER + "\\n' if part['type'] == 'image' else part['text']) -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- set flat.messages = flat.messages + [{'role': message['role'], 'content': text.joined}] -%}"
    "{%- endfor -%}{%- set messages = flat.messages -%}"
)
"""In front of a chat template that expects each message's content as one text."""


class OpabiniaProcessor(ProcessorMixin):
    """A tokenizer, and how each encoder wants its pictures.

    encoders: ids in the catalogue, in the model's order. visual_tokens: the connector's for one picture. row_separator: whether the
    padding of pictures is left out and each of their rows has one token more.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        encoders: Sequence[str] = (),
        visual_tokens: int = 0,
        row_separator: bool = False,
        chat_template: str | None = None,
    ) -> None:
        self.encoders = list(encoders)
        self.visual_tokens = visual_tokens
        self.row_separator = row_separator
        self.image_token = PLACEHOLDER
        super().__init__(tokenizer, chat_template=chat_template)
        self.image_token_id = self.tokenizer.convert_tokens_to_ids(self.image_token)

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        **options: Any,
    ) -> BatchFeature:
        """`text` with one <image> for each picture, in order; `images` as PIL images, paths or addresses, nested or not.

        Gives input_ids, attention_mask, and with pictures pixel_values (per encoder [images, 3, size, size]) and, where padding is
        left out, image_sizes [images, 2]. Raises ValueError where placeholders and pictures differ in number.
        """
        pictures = [load_image(image).convert("RGB") for image in _flat(images)]
        texts = [text] if isinstance(text, str) else list(text or ())
        tensors = options.pop("return_tensors", None)
        encoded = self.tokenizer(list(self._expanded(texts, pictures)), **options)
        visual = self._visual(pictures) if pictures else {}
        batch = BatchFeature(dict(encoded), tensor_type=tensors)
        batch.update(visual)
        return batch

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "pixel_values", "image_sizes"]

    def _expanded(self, texts: Sequence[str], pictures: Sequence[Image]) -> Iterator[str]:
        found = sum(text.count(self.image_token) for text in texts)
        if found != len(pictures):
            raise ValueError(
                f"text: {found} {self.image_token} placeholders for {len(pictures)} images; write one for each"
            )
        sizes = iter(picture.size for picture in pictures)
        for text in texts:
            first, *rest = text.split(self.image_token)
            yield first + "".join(self.image_token * self._length(next(sizes)) + piece for piece in rest)

    def _length(self, size: tuple[int, int]) -> int:
        return visual_length(self.visual_tokens, size if self.row_separator else None)

    def _visual(self, pictures: Sequence[Image]) -> dict[str, Any]:
        import torch

        from opabinia.encoders.preprocessing import pixels_from_image

        entries = [find_encoder(name, f"encoders.{index}") for index, name in enumerate(self.encoders)]
        pixels = [torch.stack([pixels_from_image(picture, entry) for picture in pictures]) for entry in entries]
        if not self.row_separator:
            return {"pixel_values": pixels}
        return {"pixel_values": pixels, "image_sizes": torch.tensor([picture.size for picture in pictures])}


def chat_template_with_parts(template: str) -> str:
    """A chat template that also takes messages as lists of parts, {"type": "image"} and {"type": "text", "text": …}."""
    return _FLATTEN + template.removeprefix(_FLATTEN)


def _flat(images: Any) -> Iterator[Any]:
    if images is None:
        return
    if isinstance(images, list | tuple):
        for image in cast("Sequence[Any]", images):
            yield from _flat(image)
    else:
        yield images
