"""The loss of predicting the next token, without ever holding the logits of all positions.

With a vocabulary of 128 000, the logits of a thousand positions take half a gigabyte in float32, and cross-entropy wants them several
times over. Here a few positions at a time go through the head, and their share of every gradient is computed while their logits are
at hand (the idea of Liger, Hsu et al. 2024); the backward pass only scales what the forward pass has found. Computing the logits
again in the backward pass (checkpointed chunks) holds no less and takes four matrix products where this takes three.
`benchmarks/loss.py` compares them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from opabinia.data.prompts import IGNORE
from opabinia.models.head import Head


def chunked_next_token_loss(
    hidden: Tensor, head: Head, labels: Tensor, *, chunk: int, at_most: int | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies of predicting each supervised token from the position before it (float32), and how many those are.

    hidden: [batch, length, width], behind the decoder's last norm. labels: [batch, length], IGNORE where nothing is to be learnt.
    Both results are scalars on the device; divide by the count (over accumulated batches and workers, at least 1). Never more than
    `chunk` x vocabulary logits exist. The host waits for nothing, and no shape depends on where the labels are.

    at_most: a number, known on the host, that the supervised tokens do not exceed. Only so many positions, rounded up to whole
    chunks, then go through the head. A bound that is too low makes the loss and every gradient NaN. Where shapes must be static,
    give none; under XLA a chunk is as many positions, up to `chunk`, as divide the rows.
    Raises ValueError for labels of another shape and a chunk below 1.
    """
    if hidden.shape[:2] != labels.shape:
        raise ValueError(
            f"labels: {tuple(labels.shape)} for hidden states {tuple(hidden.shape)}; give each position one"
        )
    if chunk < 1:
        raise ValueError(f"chunk: {chunk} positions; give at least 1")
    targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORE)
    supervised = targets != IGNORE
    count = supervised.sum()
    bound = targets.numel() if at_most is None else -(-at_most // chunk) * chunk
    if bound >= targets.numel():
        return _summed(hidden, head, targets, count, chunk), count
    first = supervised.flatten().to(torch.uint8).argsort(stable=True, descending=True)[:bound]
    rows, kept = (tensor.flatten(0, 1).index_select(0, first).unsqueeze(0) for tensor in (hidden, targets))
    return _summed(rows, head, kept, count, chunk) * torch.where(count > bound, torch.nan, 1.0), count


def _summed(hidden: Tensor, head: Head, targets: Tensor, count: Tensor, chunk: int) -> Tensor:
    if len(hidden) > chunk and hidden.device.type != "xla":
        hidden, targets = (tensor.flatten(0, 1).unsqueeze(0) for tensor in (hidden, targets))
    kind = hidden.device.type
    # torch cannot say whether the meta device has autocast; it has none.
    lowered = kind != "meta" and torch.is_autocast_enabled(kind)
    inputs = [hidden, head.weight, head.bias]
    if lowered:
        inputs = [None if tensor is None else tensor.to(torch.get_autocast_dtype(kind)) for tensor in inputs]
    learns = [torch.is_grad_enabled() and tensor is not None and tensor.requires_grad for tensor in inputs]
    with torch.autocast(kind, enabled=False) if lowered else nullcontext():
        total: Any = _SummedLoss.apply(*inputs, targets, count.clamp(min=1).float(), head.softcap, chunk, *learns)
    return total


class _SummedLoss(torch.autograd.Function):
    """hidden: [batch, length, width], targets: [batch, length] -> sum of the supervised positions' losses.

    A chunk has positions of every row of the batch, for XLA may have put the rows on several devices.
    Gradients are held as those of the mean over `count`: who divides by it then gets them rounded once, as when all is differentiated.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        count: Tensor,
        softcap: float | None,
        chunk: int,
        hidden_learns: bool,
        weight_learns: bool,
        bias_learns: bool,
    ) -> Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        # A position has its gradient from one chunk; the parameters gather theirs from all, in float32.
        by_hidden = torch.zeros_like(hidden) if hidden_learns else None
        by_weight = torch.zeros_like(weight, dtype=torch.float32) if weight_learns else None
        by_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and bias_learns else None
        step = _columns(hidden, chunk)
        for start in range(0, hidden.shape[1], step):
            here = slice(start, start + step)
            some = hidden[:, here].flatten(0, 1)
            if start:
                some = _behind(some, total, by_weight, None if by_hidden is None else by_hidden[:, start - 1])
            losses, slopes = _losses_and_slopes(
                functional.linear(some, weight, bias), targets[:, here].flatten(), softcap
            )
            slopes /= count
            total += losses.sum()
            if by_bias is not None:
                by_bias += slopes.sum(0)
            slopes = slopes.to(hidden.dtype)
            if by_hidden is not None:
                by_hidden[:, here] = (slopes @ weight).unflatten(0, (len(hidden), -1))
            if by_weight is not None:
                _add_product(by_weight, slopes.T, some)
        ctx.save_for_backward(by_hidden, by_weight, by_bias, count)
        ctx.dtype = weight.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *outer: Tensor
    ) -> tuple[Tensor | None, ...]:
        *by_all, count = ctx.saved_tensors
        scale = outer[0] * count
        # In place, for one of them is as large as the head; autograd refuses a second backward pass.
        by_hidden, by_weight, by_bias = (None if found is None else found.mul_(scale) for found in by_all)
        by_weight, by_bias = (None if found is None else found.to(ctx.dtype) for found in (by_weight, by_bias))
        return by_hidden, by_weight, by_bias, *[None] * 7


def _columns(hidden: Tensor, chunk: int) -> int:
    """How many positions of each row a chunk has. XLA's partitioner aborts on a last chunk that is shorter than the others."""
    length, most = hidden.shape[1], max(chunk // len(hidden), 1)
    if hidden.device.type != "xla":
        return most
    return next(step for step in range(min(most, length), 0, -1) if length % step == 0)


def _losses_and_slopes(linear: Tensor, targets: Tensor, softcap: float | None) -> tuple[Tensor, Tensor]:
    """`linear: [positions, vocabulary]` -> losses [positions] and their derivatives by `linear`, both float32."""
    logits = linear.float()
    bent = None if softcap is None else torch.tanh(logits / softcap)
    logs = torch.log_softmax(logits if bent is None or softcap is None else bent * softcap, dim=-1)
    unsupervised = targets == IGNORE
    wanted = targets.masked_fill(unsupervised, 0).unsqueeze(1)
    losses = -logs.gather(1, wanted).squeeze(1).masked_fill(unsupervised, 0)
    slopes = logs.exp_().scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=logs.dtype))
    slopes.masked_fill_(unsupervised.unsqueeze(1), 0)
    return losses, slopes if bent is None else slopes.mul_(bent.square_().neg_().add_(1))


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _behind(some: Tensor, *found: Tensor | None) -> Tensor:
    """`some`, unchanged, but under XLA only when `found` is: its compiler would else hold the logits of many chunks at once."""
    if some.device.type != "xla":
        return some
    last = torch.stack([tensor.flatten()[-1].float() for tensor in found if tensor is not None])
    return some + (0 * last.sum()).to(some.dtype)
