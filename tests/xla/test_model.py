"""The multimodal model on PyTorch/XLA: the same losses as on the CPU, and no batch that asks for another compilation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.multimodal import InnerVisual, MultimodalModel
from opabinia.training.backends.backend import Backend
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.xla import count_compilations
from tests.models.small import small_model
from tests.xla.padded import Batch, padded, varied

CONNECTORS = [MlpSettings(), SvaSettings()]
WARM_UP, STEPS = 3, 50


def losses(backend: Backend, connector: ConnectorConfig) -> Iterator[float]:
    """Train on one batch after another, padded where shapes must be static."""
    model = small_model(connector)
    backend.wrap(backend.place(model), []).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    # The warm-up begins at nothing, as rate_factor does.
    schedule = LambdaLR(optimiser, lambda step: min(step / 5, 1 / (step + 1) ** 0.5))
    for step in count():
        loss_of = static_loss if backend.static_shapes else own_loss
        loss = loss_of(model, backend, varied(step))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        backend.finish_step()
        yield loss.item()


def own_loss(model: MultimodalModel, _backend: Backend, batch: Batch) -> Tensor:
    loss = model(batch.input_ids, batch.features, batch.mask, batch.labels).loss
    assert loss is not None
    return loss


def static_loss(model: MultimodalModel, backend: Backend, varied: Batch) -> Tensor:
    """The same, with every place worked out before, and without picking out the supervised words, which are never as many."""
    batch = backend.move(padded(varied, model.connector.queries))
    text = model.embed_text(batch.token_ids, IMAGE_TOKEN)
    visual = model.connector(batch.features)
    rows = text.flatten(0, 1).index_copy(0, batch.visual_at, visual.tokens.flatten(0, 1)).view_as(text)
    inner = None if visual.context is None else InnerVisual(visual.context, batch.visual_at)
    logits = model.language_model(inputs_embeds=rows, use_cache=False, inner_visual=inner).logits
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORE)


@pytest.fixture
def xla() -> Backend:
    return open_backend("xla", HardwareConfig())


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
def test_losses_are_those_of_the_cpu_and_nothing_is_compiled_after_the_first_steps(
    xla: Backend, connector: ConnectorConfig
) -> None:
    found, compiled = [], []
    for loss in islice(losses(xla, connector), STEPS):
        found.append(loss)
        compiled.append(count_compilations())
    assert compiled[-1] == compiled[WARM_UP - 1] > 0
    expected = list(islice(losses(open_backend("cpu", HardwareConfig()), connector), STEPS))
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_embedding_that_is_also_the_head_stays_one(xla: Backend) -> None:
    model = small_model(MlpSettings())
    head, words = model.language_model.get_output_embeddings(), model.language_model.get_input_embeddings()
    assert head.weight is words.weight
    xla.place(model)
    assert head.weight is words.weight
    assert words.weight.device == xla.device
