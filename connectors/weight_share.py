"""How much each of several concatenated grids weighs in the linear layer that reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def weight_shares(weight: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """`weight: [outputs, Σ d_i]` of the layer, `parts[i]: [images, tokens, d_i]` as it reads them -> [images, encoders], summing to 1.

    share_i ∝ sqrt(Σ_{c of i} ‖W_c‖² mean_t(x_tc²)): the norm of each channel's column of weights times the channel's root mean square
    over the picture's tokens, added up as squares. It is what encoder i's channels put into the layer's output if they do not cancel
    each other; a picture whose parts are all zero has equal shares.
    """
    columns = weight.detach().float().square().sum(0)
    strengths = torch.cat([part.detach().float().square().mean(1) for part in parts], dim=-1) * columns
    apart = torch.split_with_sizes(strengths, [part.shape[-1] for part in parts], dim=-1)
    given = torch.stack([one.sum(-1) for one in apart], dim=1).sqrt()
    whole = given.sum(1, keepdim=True)
    return torch.where(whole > 0, given / whole, torch.full_like(given, 1 / len(parts)))
