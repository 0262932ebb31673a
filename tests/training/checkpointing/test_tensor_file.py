"""Files of tensors: what safetensors writes and reads, as a stream, with every byte vouched for."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from opabinia.training.checkpointing.tensor_file import DTYPES, CheckedFile, write_tensors

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=8), st.tuples(st.sampled_from(sorted(DTYPES)), SHAPES), max_size=6
)


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if dtype == torch.bool:
        return torch.rand(shape) > 0.5
    size = torch.empty(shape, dtype=dtype).numel() * dtype.itemsize
    return torch.randint(0, 256, (size,), dtype=torch.uint8).view(dtype).reshape(shape)


def bits(tensor: Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(named=TENSORS)
def test_other_programs_read_what_was_written(tmp_path: Path, named: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    tensors = {name: random_tensor(DTYPES[dtype], shape) for name, (dtype, shape) in named.items()}
    if "__metadata__" in tensors:
        return
    path = tmp_path / "a.safetensors"
    entry, starts = write_tensors(str(path), tensors)
    content = path.read_bytes()
    assert (entry.bytes, entry.sha256) == (len(content), sha256(content).hexdigest())
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
        assert bits(loaded[name]) == bits(tensor) == content[starts[name] :][: len(bits(tensor))]
        assert tensor.numel() == 0 or starts[name] % tensor.element_size() == 0


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(st.sampled_from("abcd")))
def test_any_of_its_tensors_can_be_read(tmp_path: Path, wanted: set[str]) -> None:
    tensors = {name: torch.randn(100 * size, 3) for size, name in enumerate("abcd")}
    entry, starts = write_tensors(str(tmp_path / "f"), tensors)
    with CheckedFile(str(tmp_path), "f", entry) as file:
        for name in sorted(wanted, key=starts.__getitem__):
            assert torch.equal(file.read_tensor(starts[name], torch.float32, tuple(tensors[name].shape)), tensors[name])
        file.finish()


def test_a_view_is_written_as_it_is_seen(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    write_tensors(str(tmp_path / "f"), {"turned": base.T, "column": base[:, 1]})
    loaded = load_file(tmp_path / "f")
    assert torch.equal(loaded["turned"], base.T)
    assert torch.equal(loaded["column"], base[:, 1])


@pytest.mark.parametrize("place", [0, 9, 200, -1])
def test_a_single_changed_bit_is_noticed(tmp_path: Path, place: int) -> None:
    entry, starts = write_tensors(str(tmp_path / "f"), {"a": torch.randn(100)})
    content = bytearray((tmp_path / "f").read_bytes())
    content[place] ^= 1
    (tmp_path / "f").write_bytes(content)
    with CheckedFile(str(tmp_path), "f", entry) as file:
        file.read_tensor(starts["a"], torch.float32, (100,))
        with pytest.raises(ValueError, match=r"/f: damaged: its SHA-256 is not that of what was saved; remove"):
            file.finish()


@pytest.mark.parametrize("change", [-1, -300, 5])
def test_a_file_that_is_too_short_or_too_long_is_noticed(tmp_path: Path, change: int) -> None:
    entry, starts = write_tensors(str(tmp_path / "f"), {"a": torch.randn(100)})
    content = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(content[:change] if change < 0 else content + bytes(change))
    reason = rf"/f: damaged: it has {entry.bytes + change} bytes instead of {entry.bytes}"
    with CheckedFile(str(tmp_path), "f", entry) as file, pytest.raises(ValueError, match=reason):
        file.read_tensor(starts["a"], torch.float32, (100,))
        file.finish()


def test_a_dtype_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"torch.complex64: tensors of this dtype cannot be saved; convert them"):
        write_tensors(str(tmp_path / "f"), {"a": torch.zeros(2, dtype=torch.complex64)})
    assert list(tmp_path.iterdir()) == []
