"""Networks of timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from opabinia.encoders.entry import EncoderEntry


def build(entry: EncoderEntry, pretrained: bool = False) -> nn.Module:
    """The network without its classifier, with the entry's weights if `pretrained`, else with random ones."""
    import timm

    library: Any = timm
    name = entry.model or entry.weights.removeprefix("timm/")
    # The name's own tag may stand for other weights than the entry's.
    overlay = {"hf_hub_id": entry.weights, "hf_hub_filename": None, "custom_load": False}
    network = library.create_model(
        name, pretrained=pretrained, num_classes=0, pretrained_cfg_overlay=overlay, **_input_size(name, entry)
    )
    return without_class_token(network) if entry.classless else network


def load(entry: EncoderEntry) -> nn.Module:
    return build(entry, pretrained=True)


def maps(network: nn.Module, pixels: Tensor, entry: EncoderEntry) -> list[Tensor]:
    """`[batch, channels, side, side]` per layer; timm drops class and register tokens itself."""
    backbone: Any = network
    return backbone.forward_intermediates(
        pixels, indices=list(entry.layers), norm=entry.post_norm, stop_early=True, intermediates_only=True
    )


def _input_size(name: str, entry: EncoderEntry) -> dict[str, int]:
    """timm resizes the position table while loading, but must be told; convolutions take any size and no such argument."""
    import timm

    library: Any = timm
    config = library.get_pretrained_cfg(name)
    native = config is None or not config.fixed_input_size or config.input_size[-1] == entry.input_size
    return {} if native else {"img_size": entry.input_size}


def without_class_token(network: Any) -> nn.Module:
    """A vision transformer that has lost its class token before the first block (Shi et al. 2024, released code).

    Eagle takes the token away right after the embedding, so that no patch ever attends to it.
    """
    network.pos_embed = nn.Parameter(network.pos_embed[:, network.num_prefix_tokens :].detach().clone())
    network.cls_token, network.num_prefix_tokens = None, 0
    return network
