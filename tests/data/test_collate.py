from __future__ import annotations

import torch

from opabinia.data.collate import collate_text
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN


def row(ids: list[int], labels: list[int], image: str = "") -> dict[str, object]:
    return {"input_ids": ids, "labels": labels, "image": image, "image_key": image and "abc"}


def test_rows_are_padded_on_the_right_and_padding_is_never_predicted() -> None:
    batch = collate_text([row([2, IMAGE_TOKEN, 5], [IGNORE, IGNORE, 5], "a.jpg"), row([7], [7])], pad_id=1)
    assert batch.input_ids.tolist() == [[2, IMAGE_TOKEN, 5], [7, 1, 1]]
    assert batch.labels.tolist() == [[IGNORE, IGNORE, 5], [7, IGNORE, IGNORE]]
    assert batch.attention_mask.tolist() == [[True, True, True], [True, False, False]]
    assert (batch.images, batch.image_keys) == (["a.jpg", ""], ["abc", ""])


def test_a_real_token_that_equals_the_padding_id_is_attended_to() -> None:
    batch = collate_text([row([1, 1, 1], [1, 1, 1]), row([1], [1])], pad_id=1)
    assert batch.attention_mask.sum(dim=1).tolist() == [3, 1]


def test_ids_are_long() -> None:
    batch = collate_text([row([3], [3])], pad_id=0)
    assert (batch.input_ids.dtype, batch.labels.dtype, batch.attention_mask.dtype) == (
        torch.long,
        torch.long,
        torch.bool,
    )
