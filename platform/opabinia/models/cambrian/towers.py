"""The vision towers of the released Cambrian-1 models, which their config.json names, and what the catalogue calls them."""

from __future__ import annotations

from collections.abc import Sequence

TOWERS: dict[tuple[str, int], str] = {
    ("siglip/CLIP-ViT-SO400M-14-384", 576): "cambrian/sva-siglip-so-384",
    ("openai/clip-vit-large-patch14-336", 576): "cambrian/clip-l-336",
    ("facebook/dinov2-giant-res378", 576): "cambrian/sva-dinov2-g-378",
    ("clip-convnext-XXL-multi-stage", 9216): "cambrian/sva-convnext-xxl-1024",
}
"""(name, tokens that its grid is interpolated to) -> id."""

_PUBLISHED = {encoder: name for (name, _), encoder in TOWERS.items()}


def encoder_ids(towers: Sequence[str], tokens: Sequence[int]) -> tuple[str, ...]:
    """Ids in the catalogue; a tower that it does not have keeps its published name, and its features must be given."""
    return tuple(TOWERS.get(tower, tower[0]) for tower in zip(towers, tokens, strict=True))


def tower_names(encoders: Sequence[str]) -> list[str]:
    """The other way round."""
    return [_PUBLISHED.get(encoder, encoder) for encoder in encoders]
