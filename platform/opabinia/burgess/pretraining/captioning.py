"""Language supervision: a ViT whose patches must let a small decoder write the caption (Tschannen et al. 2023, "Cap")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from opabinia.burgess.pretraining.loop import pretrain
from opabinia.burgess.pretraining.pictures import draw_pictures
from opabinia.burgess.pretraining.settings import EncoderPretraining
from opabinia.burgess.tokenizer import build_tokenizer
from opabinia.burgess.vocabulary import BOS, EOS
from opabinia.burgess.wording import caption

SIDE, PATCH, WIDTH = 64, 8, 128
_CAPTION_TOKENS = 48


class Captioner(nn.Module):
    """Encoder and decoder; only the encoder is kept."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        from transformers import SiglipVisionConfig, SiglipVisionModel

        self.encoder = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=WIDTH, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4,
                image_size=SIDE, patch_size=PATCH, vision_use_head=False,
            )
        )  # fmt: skip
        self.words = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Parameter(torch.randn(_CAPTION_TOKENS, WIDTH) * 0.02)
        layer = nn.TransformerDecoderLayer(WIDTH, 4, 256, dropout=0.0, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, vocabulary)

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Mean loss of predicting `tokens: [batch, text]` (0 is padding) from `pixels: [batch, 3, side, side]`."""
        memory = self.encoder(pixels).last_hidden_state
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1])
        embedded = self.words(inputs) + self.positions[: inputs.shape[1]]
        hidden = self.decoder(embedded, memory, tgt_mask=mask, tgt_is_causal=True)
        return functional.cross_entropy(self.head(hidden).transpose(1, 2), targets, ignore_index=0)


def pretrain_caption_vit(config: EncoderPretraining, folder: Path) -> float:
    """Train and save the encoder in Hugging Face format; returns the final captioning loss (nats a token)."""
    torch.manual_seed(config.seed)
    pictures = draw_pictures(config.pictures, f"pictures-{config.seed}", SIDE)
    tokenizer: Any = build_tokenizer()
    captions = [f"{BOS} {caption(scene)} {EOS}" for scene in pictures.scenes]
    tokens = tokenizer(captions, padding=True, add_special_tokens=False, return_tensors="pt").input_ids
    model = Captioner(len(tokenizer))
    loss = pretrain("caption-vit", model, lambda batch: model(pictures.batch(batch), tokens[batch]), config)
    model.encoder.save_pretrained(folder)
    return loss
