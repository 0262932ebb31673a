"""Answer prompts with a trained model: what evaluation and serving call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from opabinia.data.records import Turn

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from connectors.padding import ImageSize
    from opabinia.encoders.loading import VisionEncoder
    from opabinia.models.multimodal import MultimodalModel
    from opabinia.models.multimodal_config import ModelConfig


@dataclass(frozen=True, slots=True)
class Prompt:
    """Turns that end with the user's; at most one of them holds the placeholder, and then there is a picture.

    The picture is an image, the key under which its features are stored, or both where only some encoders' are stored.
    """

    turns: tuple[Turn, ...]
    image: Image | None = None
    image_key: str = ""

    @property
    def has_picture(self) -> bool:
        return self.image is not None or bool(self.image_key)


@dataclass(frozen=True, slots=True)
class Answer:
    """`prompt_tokens` counts visual tokens too; finish_reason is "length" when max_new_tokens cut the answer."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: Literal["stop", "length"]


class Answerer(Protocol):
    """Anything that answers prompts, in order."""

    def answer(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[Answer]: ...


FeatureSource = Callable[[Sequence[Prompt]], "list[Tensor]"]
"""From prompts that have a picture to features per encoder: [images, tokens, width]."""


@dataclass
class ModelAnswerer:
    """A model, its tokenizer, and where the features of a prompt's picture come from."""

    model: MultimodalModel
    tokenizer: PreTrainedTokenizerFast
    features: FeatureSource

    @cached_property
    def _end_tokens(self) -> frozenset[int]:
        llm: Any = self.model.language_model
        configured: int | list[int] | None = llm.generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        return frozenset(token for token in [*listed, self._special("eos_token_id")] if token is not None)

    def _special(self, name: str) -> int | None:
        return cast("int | None", getattr(self.tokenizer, name))

    def answer(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[Answer]:
        """Raises ValueError for turns that do not end with the user's, placeholders without a picture, and prompts too long."""
        from opabinia.data.prompts import encode_prompt
        from opabinia.models.generation import Sampling, generate

        encoded = [encode_prompt(self.tokenizer, prompt.turns) for prompt in prompts]
        pictured = [prompt for prompt in prompts if prompt.has_picture]
        image_sizes = self._image_sizes(pictured)
        visual = iter(self.model.visual_lengths(len(pictured), image_sizes))
        sizes = [
            len(ids) + (next(visual) - 1 if prompt.has_picture else 0)
            for ids, prompt in zip(encoded, prompts, strict=True)
        ]
        self._check_room(max(sizes), max_new_tokens)
        input_ids, mask = _pad(encoded, self._special("pad_token_id") or 0)
        device = next(self.model.parameters()).device
        features = [grid.to(device) for grid in self.features(pictured)] if pictured else []
        was_training = self.model.training
        self.model.eval()
        answers = generate(
            self.model, input_ids.to(device), mask.to(device), features, max_new_tokens=max_new_tokens,
            end_tokens=self._end_tokens, sampling=Sampling(temperature, top_p, seed), image_sizes=image_sizes,
        )  # fmt: skip
        self.model.train(was_training)
        return [self._finished(ids, size, max_new_tokens) for ids, size in zip(answers, sizes, strict=True)]

    def _image_sizes(self, pictured: Sequence[Prompt]) -> list[ImageSize] | None:
        """What is needed of a model that leaves out the padding of its pictures."""
        if not self.model.config.row_separator:
            return None
        return [(1, 1) if prompt.image is None else prompt.image.size for prompt in pictured]

    def _check_room(self, prompt_tokens: int, new_tokens: int) -> None:
        llm: Any = self.model.language_model
        room = int(llm.config.max_position_embeddings)
        if prompt_tokens + new_tokens > room:
            raise ValueError(
                f"the prompt has {prompt_tokens} tokens (visual ones included) and {new_tokens} may be generated, but the "
                f"model reads {room} in all; shorten the prompt or lower max_tokens"
            )

    def _finished(self, ids: list[int], prompt_tokens: int, limit: int) -> Answer:
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True))
        return Answer(text.strip(), prompt_tokens, len(ids), "length" if len(ids) == limit else "stop")


@dataclass
class EncodedPictures:
    """Features computed from each prompt's image, as serving needs; without a graph, also where an encoder is learning.

    An image that several prompts hold is encoded once.
    """

    encoders: Sequence[VisionEncoder] = field(default_factory=tuple)

    def __call__(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        import torch

        from opabinia.encoders.preprocessing import pixels_from_image

        images = [prompt.image for prompt in prompts if prompt.image is not None]
        unlike = {id(image): image for image in images}
        place = {name: number for number, name in enumerate(unlike)}
        of_prompt = torch.tensor([place[id(image)] for image in images])
        features: list[Tensor] = []
        with torch.no_grad():
            for encoder in self.encoders:
                pixels = torch.stack([pixels_from_image(image, encoder.entry) for image in unlike.values()])
                grids = encoder(pixels.to(encoder.device))
                features.append(grids if len(unlike) == len(images) else grids[of_prompt.to(grids.device)])
        return features


def load_answerer(folder: Path) -> ModelAnswerer:
    """Load a checkpoint folder of any known layout with its encoders, onto a GPU where this process has one.

    Raises ValueError when the folder is not a whole checkpoint.
    """
    import torch

    from opabinia.models.opening import open_checkpoint

    device = "cuda" if torch.cuda.is_available() else "cpu"
    opened = open_checkpoint(folder)
    encoders = [encoder.to(device) for encoder in opened.load_encoders()]
    return ModelAnswerer(opened.model.to(device), opened.tokenizer, EncodedPictures(encoders))


def config_of(folder: Path) -> ModelConfig:
    """What the model of a checkpoint folder is made of; one that training wrote is not opened for that.

    Raises ValueError when the folder is no checkpoint.
    """
    from opabinia.models.checkpoint import checkpoint_config, is_checkpoint
    from opabinia.models.opening import open_checkpoint

    return checkpoint_config(folder) if is_checkpoint(folder) else open_checkpoint(folder).model.config


def _pad(encoded: Sequence[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    import torch

    longest = max(map(len, encoded))
    ids = torch.tensor([[*row, *(pad_id,) * (longest - len(row))] for row in encoded])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in encoded])
    return ids, mask
