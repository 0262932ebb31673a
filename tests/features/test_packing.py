"""What storing does to features, for every precision."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from opabinia.features.encoder_source import Column
from opabinia.features.packing import arrow_arrays, column_fields, numbers_of, pack, packed_from
from opabinia.features.precision import Precision
from opabinia.features.rounding import Rounding, rounding_of

PRECISIONS = get_args(Precision)


def column(precision: Precision, tokens: int = 4, width: int = 6) -> Column:
    return Column("eye@1", tokens, width, precision)


def random_features(pictures: int = 5, seed: int = 0, scale: float = 3.0) -> Tensor:
    return torch.randn(pictures, 4, 6, generator=torch.Generator().manual_seed(seed)) * scale


def through_arrow(features: Tensor, of: Column) -> Tensor:
    arrays = arrow_arrays(pack(features, of))
    table = pa.record_batch(arrays, schema=pa.schema(column_fields(of)))
    tensors = [torch.from_numpy(numbers_of(table[f.name], f.type.list_size).copy()) for f in column_fields(of)]
    return packed_from(tensors, of).unpacked()


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_float_type_gives_back_exactly_what_rounding_to_it_gives(precision: Precision) -> None:
    features = random_features()
    assert torch.equal(through_arrow(features, column(precision)), features.to(getattr(torch, precision)).float())


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-20, 1e20))
def test_int8_is_off_by_at_most_half_a_step_of_each_tokens_own_scale(seed: int, scale: float) -> None:
    features = random_features(seed=seed, scale=scale)
    features[0, 0] *= 1000
    step = features.abs().amax(dim=2, keepdim=True) / 127
    assert ((through_arrow(features, column("int8")) - features).abs() <= step * 0.5001).all()


def test_a_token_of_zeros_stays_zeros_in_every_precision() -> None:
    for precision in PRECISIONS:
        assert not through_arrow(torch.zeros(2, 4, 6), column(precision)).any()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_number_is_an_error_in_every_precision(precision: Precision, value: float) -> None:
    features = random_features()
    features[1, 2, 3] = value
    with pytest.raises(ValueError, match=f"values that {precision} cannot hold"):
        pack(features, column(precision))


def test_large_values_are_an_error_in_float16_alone() -> None:
    features = torch.full((1, 4, 6), 1e6)
    with pytest.raises(ValueError, match="float16 cannot hold"):
        pack(features, column("float16"))
    for precision in ("float32", "bfloat16", "int8"):
        torch.testing.assert_close(through_arrow(features, column(precision)), features, rtol=2**-8, atol=0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_without_a_picture_are_zeros_between_the_others(precision: Precision) -> None:
    packed = pack(random_features(pictures=3), column(precision))
    spread = packed.spread([0, 2, 5], rows=6).unpacked()
    assert torch.equal(spread[[0, 2, 5]], packed.unpacked())
    assert not spread[[1, 3, 4]].any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_picture_takes_the_bytes_that_are_stated(precision: Precision) -> None:
    arrays = arrow_arrays(pack(random_features(pictures=7), column(precision)))
    assert sum(array.nbytes for array in arrays) == 7 * column(precision).bytes


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_relative_error_is_that_of_all_batches_together(precision: Precision) -> None:
    batches = [random_features(seed=0), random_features(seed=1, scale=40)]
    total = Rounding()
    for batch in batches:
        total += rounding_of(batch, pack(batch, column(precision)))
    given_all = torch.cat(batches).double().numpy()
    stored = torch.cat([through_arrow(batch, column(precision)) for batch in batches]).double().numpy()
    assert total.relative_error == pytest.approx(np.linalg.norm(stored - given_all) / np.linalg.norm(given_all))
    assert (total.relative_error == 0) == (precision == "float32")
