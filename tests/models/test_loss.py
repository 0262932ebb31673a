"""The loss in chunks is cross-entropy on all logits, to rounding, and holds no more than a chunk of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.head import Head, check_head, head_of
from opabinia.models.loss import chunked_next_token_loss
from opabinia.models.multimodal import on_host
from opabinia.models.places import place
from tests.models.test_decoders import FAMILIES, PROMPTS, decoder, features, model_of, padded

Loss = Callable[[Tensor, Head, Tensor], Tensor]

VOCABULARY, WIDTH = 50, 8


def problem(
    batch: int = 2, length: int = 21, share: float = 0.4, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, weight, bias in float64 and labels, of which `share` are supervised."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, VOCABULARY, (batch, length), generator=generator)
    labels[torch.rand(batch, length, generator=generator) >= share] = IGNORE
    return random(batch, length, WIDTH), random(VOCABULARY, WIDTH), random(VOCABULARY), labels


def on_all_logits(hidden: Tensor, head: Head, labels: Tensor) -> Tensor:
    """The mean over supervised tokens as language models compute it: in their own type up to the logits."""
    logits = functional.linear(hidden, head.weight, head.bias)
    if head.softcap is not None:
        logits = torch.tanh(logits / head.softcap) * head.softcap
    exact = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(exact[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)


def in_chunks(chunk: int, at_most: int | None = None) -> Loss:
    def loss(hidden: Tensor, head: Head, labels: Tensor) -> Tensor:
        total, count = chunked_next_token_loss(hidden, head, labels, chunk=chunk, at_most=at_most)
        return total / count.clamp(min=1)

    return loss


def with_gradients(
    loss: Loss, inputs: tuple[Tensor, Tensor, Tensor], labels: Tensor, dtype: torch.dtype, softcap: float | None = None
) -> list[Tensor]:
    """The loss and its gradients by hidden states, weight and bias."""
    hidden, weight, bias = leaves = [tensor.to(dtype).detach().clone().requires_grad_() for tensor in inputs]
    value = loss(hidden, Head(weight, bias, softcap), labels)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


@settings(deadline=None, max_examples=40)
@given(
    batch=st.integers(1, 3),
    length=st.integers(2, 12),
    chunk=st.integers(1, 40),
    slack=st.integers(0, 9) | st.none(),
    softcap=st.none() | st.floats(1, 30),
    seed=st.integers(0, 99),
)
def test_it_is_cross_entropy_with_its_gradients(
    batch: int, length: int, chunk: int, slack: int | None, softcap: float | None, seed: int
) -> None:
    *inputs, labels = problem(batch, length, seed=seed)
    labels[0, -1] = 7
    at_most = None if slack is None else int((labels[:, 1:] != IGNORE).sum()) + slack
    expected = with_gradients(on_all_logits, tuple(inputs), labels, torch.float32, softcap)
    found = with_gradients(in_chunks(chunk, at_most), tuple(inputs), labels, torch.float32, softcap)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("chunk", [4, 64, 1000])
def test_in_bfloat16_it_is_as_near_to_the_truth_as_the_plain_way(chunk: int, softcap: float | None) -> None:
    """But for the weight, whose share of each chunk is rounded before they are added, in float32."""
    *exact, labels = problem(4, 100)
    inputs = tuple(tensor.bfloat16().double() for tensor in exact)
    truth = with_gradients(on_all_logits, inputs, labels, torch.float64, softcap)[1:]
    plain = with_gradients(on_all_logits, inputs, labels, torch.bfloat16, softcap)[1:]
    ours = with_gradients(in_chunks(chunk), inputs, labels, torch.bfloat16, softcap)[1:]
    weight = 1.001 if chunk == 1000 else 1.2
    for true, far, near, times in zip(truth, plain, ours, (1.001, weight, 1.001), strict=True):
        assert near.dtype == torch.bfloat16
        assert (near.double() - true).norm() <= times * (far.double() - true).norm()


def test_a_frozen_head_gets_no_gradient_and_changes_none() -> None:
    hidden, weight, bias, labels = problem()
    both = with_gradients(in_chunks(8), (hidden, weight, bias), labels, torch.float32)
    alone, frozen = hidden.float().requires_grad_(), Head(weight.float(), bias.float())
    in_chunks(8)(alone, frozen, labels).backward()
    assert frozen.weight.grad is None
    torch.testing.assert_close(alone.grad, both[1], rtol=0, atol=0)


def test_a_head_tied_to_the_embeddings_gets_the_gradients_of_both() -> None:
    _, weight, _, labels = problem()
    tokens = labels.clamp(min=0)
    gradients: list[Tensor | None] = []
    for loss in (on_all_logits, in_chunks(8)):
        tied = weight.float().requires_grad_()
        loss(functional.embedding(tokens, tied).tanh(), Head(tied), labels).backward()
        gradients.append(tied.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("at_most", [None, 0, 5])
def test_without_supervised_tokens_it_is_zero_and_so_are_its_gradients(at_most: int | None) -> None:
    *inputs, labels = problem(share=0)
    for value in with_gradients(in_chunks(8, at_most), tuple(inputs), labels, torch.float32):
        assert not value.any()


def test_the_first_token_of_a_sequence_is_predicted_by_nothing() -> None:
    hidden, weight, _, labels = problem(share=0)
    labels[:, 0] = 3
    total, count = chunked_next_token_loss(hidden, Head(weight), labels, chunk=8)
    assert (total, count) == (0, 0)


def test_a_bound_below_the_number_of_supervised_tokens_gives_no_wrong_result() -> None:
    *inputs, labels = problem(share=1)
    assert all(value.isnan().any() for value in with_gradients(in_chunks(8, 9), tuple(inputs), labels, torch.float32))


def test_scoring_computes_no_gradients() -> None:
    hidden, weight, bias, labels = problem()
    head = Head(weight.requires_grad_(), bias)
    with torch.no_grad():
        total, _ = chunked_next_token_loss(hidden, head, labels, chunk=8)
    assert not total.requires_grad
    torch.testing.assert_close(total.double(), on_all_logits(hidden, head, labels) * (labels[:, 1:] != IGNORE).sum())


class Largest(TorchDispatchMode):
    """The most elements that a tensor computed meanwhile has."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_no_more_than_a_chunk_of_logits_exists_forward_or_backward(softcap: float | None) -> None:
    *inputs, labels = problem(4, 30)
    sizes: list[int] = []
    for chunk in (16, 32):
        with Largest() as largest:
            with_gradients(in_chunks(chunk), tuple(inputs), labels, torch.float32, softcap)
        sizes.append(largest.elements)
    # The next largest are the hidden states, 4 * 30 * 8.
    assert sizes == [max(16 * VOCABULARY, 960), 32 * VOCABULARY]


@pytest.mark.parametrize("at_most", [None, 20])
def test_the_host_waits_for_no_value_and_no_shape_depends_on_one(at_most: int | None) -> None:
    """Tensors of the meta device have shapes but no values to look at."""
    *inputs, labels = (tensor.to("meta") for tensor in problem())
    assert len(with_gradients(in_chunks(8, at_most), tuple(inputs), labels, torch.bfloat16, 5.0)) == 4


def test_it_compiles_whole_and_once_for_any_labels() -> None:
    torch.compiler.reset()
    loss = in_chunks(16, 32)
    compiled: Loss = torch.compile(loss, backend="aot_eager", fullgraph=True)
    stance = "default"
    for seed in range(3):
        *inputs, labels = problem(share=0.2 * seed, seed=seed)
        with torch.compiler.set_stance(stance):
            found = with_gradients(compiled, tuple(inputs), labels, torch.float32, 5.0)
        torch.testing.assert_close(found, with_gradients(loss, tuple(inputs), labels, torch.float32, 5.0))
        stance = "fail_on_recompile"


def test_autocast_reaches_the_head() -> None:
    *inputs, labels = problem()
    with torch.autocast("cpu", torch.bfloat16):
        low = with_gradients(in_chunks(8), tuple(inputs), labels, torch.float32)
    expected = with_gradients(in_chunks(8), tuple(inputs), labels, torch.bfloat16)
    for value, other in zip(low, expected, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, other.float())


def test_a_second_backward_pass_is_refused() -> None:
    hidden, weight, _, labels = problem()
    value = in_chunks(8)(hidden.requires_grad_(), Head(weight), labels)
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_what_cannot_be_is_refused() -> None:
    hidden, weight, _, labels = problem()
    with pytest.raises(ValueError, match="labels"):
        chunked_next_token_loss(hidden, Head(weight), labels[:, 1:], chunk=8)
    with pytest.raises(ValueError, match="chunk"):
        chunked_next_token_loss(hidden, Head(weight), labels, chunk=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_decoders_has_its_own_loss_without_its_head(family: str) -> None:
    """The reference is transformers' own loss; logits are made large enough for a soft cap to bend them."""
    model = model_of(family)
    llm: Any = model.language_model
    with torch.no_grad():
        llm.get_output_embeddings().weight.mul_(300)
    ids, mask = padded(PROMPTS)
    labels = ids.masked_fill((ids == IMAGE_TOKEN) | ~mask, IGNORE)
    values: list[list[Tensor]] = []
    for ours in (False, True):
        places = place(on_host(ids, mask, labels, None), model.layout)
        if ours:
            loss = in_chunks(8)(model.hidden(places, features(3)), head_of(llm), places.labels)
        else:
            embeddings, inner = model.embed(places, features(3))
            loss = llm(inputs_embeds=embeddings, use_cache=False, inner_visual=inner, labels=places.labels).loss
        model.zero_grad()
        loss.backward()
        values.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_found_to_have_a_plain_or_capped_head(family: str) -> None:
    llm = decoder(family).train()
    check_head(llm)
    assert llm.training


def test_a_family_that_scales_its_logits_is_refused() -> None:
    from transformers import AutoModelForCausalLM, GraniteConfig

    shape = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4)
    llm: Any = AutoModelForCausalLM.from_config(GraniteConfig(**shape, logits_scaling=2.0))
    with pytest.raises(ValueError, match="granite"):
        check_head(llm)


def test_a_head_that_is_no_plain_layer_is_refused() -> None:
    llm = decoder("llama")
    llm.set_output_embeddings(nn.Sequential(llm.get_output_embeddings()))
    with pytest.raises(ValueError, match="Sequential"):
        head_of(llm)
