"""What the catalogue says about one encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal[
    "language-supervised", "self-supervised", "class-supervised", "dense-supervised", "generative", "distilled"
]
"""What taught the encoder; "distilled" is for students of several teachers of different families."""

Library = Literal["transformers", "timm", "open_clip", "python"]
Fit = Literal["stretch", "pad", "crop"]
Normalisation = Literal["dataset", "picture"]
Interpolation = Literal["bilinear", "bilinear, corners aligned", "bilinear, antialiased"]


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """One encoder: where its weights are, how a picture becomes its input, and how features are read from it.

    Weights
        `library` loads them; "python" calls a function of one's own (see `backbones.own`). `weights` is the name of a
        repository on the Hugging Face hub, a file in one (`OWNER/NAME/PATH`), or `package:NAME/FOLDER`. `model` says what to build
        from them: for transformers a class, for timm and open_clip an architecture (for timm, the repository's own name unless it is
        given), for python `module:function`. `part` is the attribute of the loaded model that is the encoder, where that is not the
        whole. `parameters` counts those that the features depend on: no pooler, no classifier, no block behind the last one read.
    Picture
        `input_size` in pixels, square. `fit` makes a picture square: "stretch" it, "pad" it with `fill` (the encoder's mean
        colour unless given; 0 to 1 per channel), or "crop" its middle. `mean` and `std` are of pixels from 0 to 1;
        normalisation "picture" takes the statistics of the picture itself instead. With a `shared_size`, all that is done at that
        size, which gives encoders that state it the same tensor, and `shared_interpolation` brings the tensor to `input_size`.
    Features
        `layer` is the block (in a staged network: the stage) that is read, from 0, or from the end with -1 as the last;
        of several, in ascending order, the maps are joined on channels. `post_norm` applies the network's final norm to what
        is read. `leading_tokens` (class and registers) are dropped before the grid; with `classless`, before the first block.
        `patch` is the pixels a side that one cell of the network's last map stands for. `interpolation` brings every map to the
        grid; `unshuffle` then folds squares of that many cells a side into channels. `grid` is the side, in tokens, of what
        comes out and `width` its channels.
    """

    id: str
    family: Family
    architecture: str
    library: Library
    weights: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    patch: int
    grid: int
    width: int
    leading_tokens: int
    layer: int | tuple[int, ...]
    parameters: int
    licence: str
    model: str = ""
    part: str = ""
    fit: Fit = "stretch"
    fill: tuple[float, float, float] | None = None
    normalisation: Normalisation = "dataset"
    shared_size: int | None = None
    shared_interpolation: Interpolation = "bilinear, corners aligned"
    post_norm: bool = True
    classless: bool = False
    interpolation: Interpolation | None = None
    unshuffle: int = 1

    @property
    def layers(self) -> tuple[int, ...]:
        """The blocks or stages that are read."""
        return self.layer if isinstance(self.layer, tuple) else (self.layer,)

    @property
    def native_grid(self) -> int:
        """Side of the network's last map, in cells, before interpolation and unshuffling."""
        return self.input_size // self.patch
