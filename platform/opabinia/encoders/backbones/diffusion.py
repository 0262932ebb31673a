"""Stable Diffusion as an encoder (Tong et al. 2024, released code): what a U-Net sees in a slightly noisy picture.

Needs diffusers, which the extra `diffusion` installs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_STEP = 250
"""How far along the thousand steps of noise the picture is."""

_SEED = 0


class DiffusionFeatures(nn.Module):
    """`pixels: [batch, 3, side, side]` from -1 to 1 -> the maps of the U-Net's upward blocks, the coarsest first.

    Their sides are side / 32, / 16, / 8 and / 8 in Stable Diffusion 2.1, their channels 1280, 1280, 640 and 320. The release draws
    new noise at every call; here every picture gets the same noise, so that its features are always the same.
    """

    def __init__(self, vae: Any, unet: Any, prompt: Tensor, signal: float) -> None:
        """prompt: [1, tokens, width], the embedding of no words. signal: share of the picture's variance that is left at the step."""
        super().__init__()
        vae.decoder, vae.post_quant_conv = nn.Identity(), nn.Identity()
        self.vae, self.unet, self.signal = vae, unet, signal
        self.register_buffer("prompt", prompt)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        latents = self.vae.encode(pixels).latent_dist.mode() * self.vae.config.scaling_factor
        noise = torch.randn(latents.shape[1:], generator=torch.Generator("cpu").manual_seed(_SEED), device="cpu")
        noisy = self.signal**0.5 * latents + (1 - self.signal) ** 0.5 * noise.to(latents)
        prompt: Any = self.prompt
        return self._upward_maps(noisy, prompt.expand(len(pixels), -1, -1))

    def _upward_maps(self, noisy: Tensor, prompt: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []

        def keep(_block: nn.Module, _inputs: Any, output: Tensor) -> None:
            maps.append(output)

        hooks = [block.register_forward_hook(keep) for block in self.unet.up_blocks]
        try:
            self.unet(noisy, _STEP, encoder_hidden_states=prompt)
        finally:
            for hook in hooks:
                hook.remove()
        return maps


def load(weights: str) -> nn.Module:
    """Of a repository in the layout of a diffusers pipeline. Raises ValueError without diffusers, and where weights are missing."""
    try:
        import diffusers
    except ModuleNotFoundError:
        raise ValueError("diffusers is not installed; pip install 'opabinia[diffusion]'") from None
    import transformers

    parts: Any = diffusers
    scheduler = parts.DDIMScheduler.from_pretrained(weights, subfolder="scheduler")
    vae, unet = _whole(parts.AutoencoderKL, weights, "vae"), _whole(parts.UNet2DConditionModel, weights, "unet")
    tokenizer: Any = transformers.CLIPTokenizer
    nothing = tokenizer.from_pretrained(weights, subfolder="tokenizer")("", padding="max_length", return_tensors="pt")
    text = _whole(transformers.CLIPTextModel, weights, "text_encoder").eval()
    with torch.no_grad():
        prompt = text(nothing["input_ids"]).last_hidden_state
    return DiffusionFeatures(vae, unet, prompt, float(scheduler.alphas_cumprod[_STEP]))


def _whole(library: Any, weights: str, part: str) -> Any:
    model, report = library.from_pretrained(weights, subfolder=part, use_safetensors=True, output_loading_info=True)
    if report["missing_keys"]:
        raise ValueError(
            f"{part}: {len(report['missing_keys'])} parameters are not in it, among them {min(report['missing_keys'])}"
        )
    return model
