"""Which worker copies what, of what all hold."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from opabinia.training.checkpointing.group import Workers
from opabinia.training.checkpointing.staging import StagedTensors, share_of
from tests.training.checkpointing.small import new_state, train


@given(sizes=st.lists(st.integers(0, 100), max_size=12), count=st.integers(1, 5))
def test_every_tensor_is_copied_by_exactly_one_worker(sizes: list[int], count: int) -> None:
    tensors = {f"t{place}": torch.zeros(size) for place, size in enumerate(sizes)}
    shares = [share_of(tensors, rank, count) for rank in range(count)]
    assert sorted(name for share in shares for name in share) == sorted(tensors)
    bytes_held = [sum(tensor.numel() for tensor in share.values()) for share in shares]
    assert max(bytes_held) - min(bytes_held) <= max(sizes, default=0)


def test_what_was_copied_shares_no_memory_with_what_is_trained() -> None:
    state = new_state()
    train(state, 1)
    weight = state.model.get_parameter("encoder.weight")
    staged = StagedTensors({"weight": weight, "view": weight.detach()[:, 1]}, {"own": torch.arange(3)}, Workers())
    before = weight.detach().clone()
    train(state, 1)
    copies = {item.index.fqn: staged.resolve_data(item) for item in staged.create_local_plan().items}
    assert torch.equal(copies["weight"], before)
    assert torch.equal(copies["view"], before[:, 1])
    assert torch.equal(copies["own"], torch.arange(3))
    assert staged.bytes == sum(copy.numel() * copy.element_size() for copy in copies.values())
