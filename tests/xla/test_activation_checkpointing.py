"""Computing activations twice on PyTorch/XLA."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from connectors.contract import VisualContext
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.multimodal import InnerVisual, on_host
from opabinia.models.places import place
from tests.models.test_decoders import PROMPTS, features, model_of, padded

NOTHING, EVERYTHING = ActivationCheckpointing(), ActivationCheckpointing(decoder_layers=1, connector=True)


def gradients(device: str, settings: ActivationCheckpointing, dropout: float = 0.0) -> list[Tensor]:
    """Of the language model with what SVA reads again in it: by its parameters, by SVA's in it, and by what is read again."""
    import torch_xla  # pyright: ignore[reportMissingImports]
    import torch_xla.core.xla_model as xla  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    model = model_of("llama").train()
    checkpoint_activations(model, settings)
    llm: Any = model.language_model
    for layer in llm.get_decoder().layers:
        layer.self_attn.attention_dropout = dropout
    places = place(on_host(*padded(PROMPTS), None, None), model.layout)
    embeddings, inner = model.embed(places, features(3))
    assert inner is not None
    model.to(device)
    windows = tuple(window.detach().to(device).requires_grad_() for window in inner.context.windows)
    context = VisualContext(windows, None, inner.context.summary.detach().to(device), inner.context.image_of.to(device))
    xla.set_rng_state(7)
    hidden = llm.get_decoder()(
        inputs_embeds=embeddings.detach().to(device),
        use_cache=False,
        inner_visual=InnerVisual(context, places.to(torch.device(device))),
    ).last_hidden_state
    hidden.square().mean().backward()
    # Everything in one computation, before its parts are asked for.
    torch_xla.sync()
    learnt = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [gradient.cpu() for gradient in (*learnt, *(window.grad for window in windows)) if gradient is not None]


@pytest.mark.parametrize("settings", [NOTHING, EVERYTHING], ids=["nothing", "everything"])
def test_gradients_are_those_of_the_cpu(settings: ActivationCheckpointing) -> None:
    torch.testing.assert_close(gradients("xla", settings), gradients("cpu", NOTHING), rtol=1e-4, atol=1e-6)


def test_random_numbers_are_the_same_the_second_time() -> None:
    dropped = gradients("xla", NOTHING, dropout=0.5)
    torch.testing.assert_close(gradients("xla", EVERYTHING, dropout=0.5), dropped)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(gradients("xla", NOTHING), dropped)
