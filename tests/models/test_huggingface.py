"""An exported folder is opened by transformers' own Auto classes and says the same as the model that was exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import encode_prompt
from opabinia.data.records import Turn
from opabinia.encoders.loading import load_encoder
from opabinia.encoders.preprocessing import pixels_from_image
from opabinia.models import load_cambrian
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.generation import generate
from opabinia.models.huggingface.export import write_huggingface
from tests.models.small import CONNECTORS, ENCODERS, small_model, tokenizer
from tests.models.test_cambrian import FIXTURES, features_of, sizes_of

QUESTIONS = ("what colour is the circle ?", "how many shapes are there ?")


def pictures() -> list[Image.Image]:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=generator)
    return [Image.fromarray(array.numpy()) for array in noise]


def exported(folder: Path, connector: ConnectorConfig) -> tuple[Any, Any, Any]:
    """The model that was exported, and what the Auto classes make of the folder."""
    from transformers import AutoModelForCausalLM, AutoProcessor

    model = small_model(connector).eval()
    write_huggingface(model, tokenizer(), folder, "# A card\n")
    return model, AutoModelForCausalLM.from_pretrained(folder), AutoProcessor.from_pretrained(folder)


def conversation(question: str, picture: Image.Image | None) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": question}]
    if picture is not None:
        parts.insert(0, {"type": "image", "image": picture})
    return [{"role": "user", "content": parts}]


def encoded(images: list[Image.Image]) -> list[Tensor]:
    encoders = [load_encoder(name) for name in ENCODERS]
    return [encoder(torch.stack([pixels_from_image(image, encoder.entry) for image in images])) for encoder in encoders]


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
@torch.no_grad()
def test_the_opened_model_answers_as_the_exported_one_with_pictures_and_without(
    tmp_path: Path, connector: ConnectorConfig
) -> None:
    model, opened, processor = exported(tmp_path / "folder", connector)
    asked = [(QUESTIONS[0], pictures()[0]), (QUESTIONS[1], None), (QUESTIONS[1], pictures()[1])]
    inputs = processor.apply_chat_template(
        [conversation(*one) for one in asked], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt", processor_kwargs={"padding": True, "padding_side": "left"},
    )  # fmt: skip
    out = opened.generate(**inputs, max_new_tokens=6, do_sample=False)
    said = [processor.decode(row, skip_special_tokens=True) for row in out[:, inputs["input_ids"].shape[1] :]]

    turns = [(Turn("user", ("<image>\n" if image else "") + question),) for question, image in asked]
    ids = [encode_prompt(tokenizer(), turn) for turn in turns]
    longest = max(map(len, ids))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]).bool()
    end = frozenset({int(model.language_model.generation_config.eos_token_id)})
    answers = generate(model, padded, mask, encoded(pictures()), max_new_tokens=6, end_tokens=end)
    assert said == [tokenizer().decode(answer, skip_special_tokens=True) for answer in answers]


def test_every_weight_is_kept_bit_by_bit(tmp_path: Path) -> None:
    model, opened, _ = exported(tmp_path / "folder", SvaSettings())
    again = dict(opened.multimodal.state_dict())
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[name], weight) for name, weight in model.state_dict().items())
    opened.save_pretrained(tmp_path / "again")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("folder", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@torch.no_grad()
def test_loss_and_features_are_taken_as_transformers_users_give_them(tmp_path: Path) -> None:
    model, opened, processor = exported(tmp_path / "folder", SvaSettings())
    text = f"<image>\n{QUESTIONS[0]}"
    inputs = processor(images=pictures()[:1], text=text, return_tensors="pt")
    labels = inputs["input_ids"].clone()
    labels[:, :-3] = -100
    seen = opened(**inputs, labels=labels)
    same = opened(input_ids=inputs["input_ids"], features=encoded(pictures()[:1]), labels=labels)
    torch.testing.assert_close(seen.loss, same.loss)
    ids = [-200, *tokenizer()(f"\n{QUESTIONS[0]}", add_special_tokens=False)["input_ids"]]
    own_labels = torch.tensor([[-100] * (len(ids) - 3) + ids[-3:]])
    own = model(torch.tensor([ids]), encoded(pictures()[:1]), labels=own_labels)
    torch.testing.assert_close(seen.loss, own.loss)


@torch.no_grad()
def test_beams_and_several_answers_keep_each_sample_with_its_pictures(tmp_path: Path) -> None:
    _, opened, processor = exported(tmp_path / "folder", SvaSettings())
    one, other = pictures()
    texts = [f"<image><image>\n{QUESTIONS[0]}", f"<image>\n{QUESTIONS[1]}"]
    both = processor(images=[one, other, other], text=texts, return_tensors="pt", padding=True, padding_side="left")
    together = opened.generate(**both, max_new_tokens=4, num_beams=3, do_sample=False)[:, both["input_ids"].shape[1] :]
    for text, images, row in zip(texts, ([one, other], [other]), together, strict=True):
        alone = processor(images=images, text=text, return_tensors="pt")
        answer = opened.generate(**alone, max_new_tokens=4, num_beams=3, do_sample=False)
        new = answer[0, alone["input_ids"].shape[1] :]
        assert row[: len(new)].tolist() == new.tolist()


def test_pictures_and_placeholders_must_agree(tmp_path: Path) -> None:
    _, opened, processor = exported(tmp_path / "folder", SvaSettings())
    with pytest.raises(ValueError, match="text: 1 <image> placeholders for 0 images; write one for each"):
        processor(text="<image> what ?")
    inputs = processor(images=pictures()[0], text="<image> what ?", return_tensors="pt")
    with pytest.raises(ValueError, match="input_ids hold 16 image tokens, but the 0 pictures give 0"):
        opened(inputs["input_ids"])


@torch.no_grad()
def test_a_published_model_keeps_its_numbers_through_the_folder(tmp_path: Path) -> None:
    """Rows with separators, unpadded pictures, encoders that the catalogue does not know."""
    from transformers import AutoModelForCausalLM

    folder = FIXTURES / "sva_connector_only_unpad"
    case = load_file(folder / "case.safetensors")
    model = load_cambrian(folder)
    write_huggingface(model, tokenizer(), tmp_path / "folder", "# A card\n")
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    # The small tokenizer's next id is a word of this model.
    image = opened.config.image_token_id = opened.config.text_config.vocab_size
    sizes = sizes_of(case)
    for index in range(len(case["input_ids"])):
        own = [grid[index : index + 1] for grid in features_of(case)]
        expected = model(case["input_ids"][index : index + 1], own, image_sizes=[sizes[index]]).logits
        (length,) = model.visual_lengths(1, [sizes[index]])
        ids: list[int] = []
        for token in case["input_ids"][index].tolist():
            ids += [image] * length if token == -200 else [token]
        found = opened(torch.tensor([ids]), features=own, image_sizes=[sizes[index]]).logits
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "order",
    [
        "import opabinia, transformers",
        "import transformers; from transformers import AutoModelForCausalLM; import opabinia",
    ],
)
def test_transformers_knows_the_model_whichever_is_imported_first(order: str) -> None:
    check = f"{order}; from transformers import AutoConfig; print(type(AutoConfig.for_model('opabinia')).__name__)"
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "OpabiniaConfig"


def test_importing_the_library_imports_neither_torch_nor_transformers() -> None:
    check = "import sys, opabinia; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
