from __future__ import annotations

import torch

from opabinia.data.collate import collate_text
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN


def row(ids: list[int], labels: list[int], *images: str, lengths: list[int] | None = None) -> dict[str, object]:
    keys = [f"key of {image}" for image in images]
    given = {"input_ids": ids, "labels": labels, "images": list(images), "image_keys": keys}
    return {**given, "lengths": lengths or [len(ids)]}


def test_rows_are_padded_on_the_right_and_padding_is_never_predicted() -> None:
    batch = collate_text([row([2, IMAGE_TOKEN, 5], [IGNORE, IGNORE, 5], "a.jpg"), row([7], [7])], pad_id=1)
    assert batch.input_ids.tolist() == [[2, IMAGE_TOKEN, 5], [7, 1, 1]]
    assert batch.labels.tolist() == [[IGNORE, IGNORE, 5], [7, IGNORE, IGNORE]]
    assert batch.attention_mask.tolist() == [[True, True, True], [True, False, False]]
    assert batch.samples is None


def test_pictures_stand_in_the_order_of_their_placeholders() -> None:
    three = row([IMAGE_TOKEN, 3, IMAGE_TOKEN], [IGNORE, 3, IGNORE], "b.jpg", "a.jpg")
    batch = collate_text([three, row([7], [7]), row([IMAGE_TOKEN, 4], [IGNORE, 4], "c.jpg")], pad_id=1)
    assert batch.images == ["b.jpg", "a.jpg", "c.jpg"]
    assert batch.image_keys == ["key of b.jpg", "key of a.jpg", "key of c.jpg"]


def test_samples_of_packed_rows_are_numbered() -> None:
    batch = collate_text([row([5, 6, 7], [5, 6, 7], lengths=[1, 2]), row([8, 9], [8, 9])], pad_id=0)
    assert batch.samples is not None
    assert batch.samples.tolist() == [[1, 2, 2], [1, 1, 0]]


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
