"""The class that lmms-eval finds by its name, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lmms_eval.models import get_model, list_available_models

from connectors.settings.mlp import MlpSettings
from opabinia.data.records import Turn
from opabinia.evaluation.lmms_eval.manifest import NAME
from opabinia.evaluation.lmms_eval.model import OpabiniaChat
from opabinia.models.answering import Prompt
from opabinia.models.checkpoint import save_checkpoint
from tests.models.small import small_model, tokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lmms-eval") / "checkpoint"
    save_checkpoint(small_model(MlpSettings()), tokenizer(), folder)
    return str(folder)


def test_the_name_leads_to_the_class_once_the_package_is_installed() -> None:
    assert NAME in list_available_models()
    assert get_model("opabinia") is OpabiniaChat


def test_arguments_come_as_lmms_evals_command_line_gives_them(checkpoint: str) -> None:
    model = get_model("opabinia").create_from_arg_string(
        f"checkpoint={checkpoint},several_pictures=first", {"batch_size": "4", "max_batch_size": None, "device": "cpu"}
    )
    assert (model.batch_size, model.rank, model.world_size, model.device.type) == (4, 0, 1, "cpu")
    assert model.first_picture_alone
    assert not OpabiniaChat(checkpoint).first_picture_alone


@pytest.mark.parametrize("batch_size", ["auto", 0, "-1", 1.5])
def test_a_batch_size_that_is_no_number_is_refused(checkpoint: str, batch_size: str) -> None:
    with pytest.raises(ValueError, match=f"batch_size: {batch_size!r} is not a whole number above 0"):
        OpabiniaChat(checkpoint, batch_size=batch_size)


@pytest.mark.parametrize("device", ["xpu", "cuda:9"])
def test_another_device_than_the_models_is_refused(checkpoint: str, device: str) -> None:
    with pytest.raises(ValueError, match=f"device: the model is on .*, not on {device}; leave --device out"):
        OpabiniaChat(checkpoint, device=device)


def test_another_way_with_several_pictures_is_refused_before_the_model_is_opened() -> None:
    with pytest.raises(ValueError, match="several_pictures: 'all' is not known; give refuse or first"):
        OpabiniaChat("nowhere", several_pictures="all")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        OpabiniaChat(str(tmp_path))


def test_answers_come_in_the_order_of_the_requests_each_cut_where_its_task_says(checkpoint: str) -> None:
    model = OpabiniaChat(checkpoint, batch_size=2)
    texts = ["describe the picture .", "how many sides does a square have ?", "is there a red cross ?"]
    model.task_dict = {"text": {"test": texts}}
    told = [model.answerer.answer([Prompt((Turn("user", text),))], max_new_tokens=9)[0] for text in texts]
    given = model.generate_until([request(number % 3, [str(number)]) for number in range(3, 8)])
    assert [one.text for one in given] == [cut(told[number % 3].text, str(number)) for number in range(3, 8)]
    assert given[0].token_counts.to_dict() == {
        "input_tokens": told[0].prompt_tokens,
        "output_tokens": told[0].completion_tokens,
    }


def test_an_answer_ends_before_the_word_that_ends_it(checkpoint: str) -> None:
    model = OpabiniaChat(checkpoint)
    model.task_dict = {"text": {"test": ["describe the picture ."]}}
    (whole,) = model.generate_until([request(0, [])])
    before, end, _ = whole.text.partition(whole.text.split()[2])
    assert [one.text for one in model.generate_until([request(0, [end])])] == [before.strip()]


def cut(text: str, end: str) -> str:
    return text.partition(end)[0].strip()


def request(document: int, until: list[str]) -> Any:
    """As lmms-eval asks a chat model."""
    settings = {"max_new_tokens": 9, "temperature": 0, "until": until}
    return SimpleNamespace(args=("", to_messages, settings, document, "text", "test"))


def to_messages(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]


def test_tasks_that_need_more_than_one_answer_in_words_are_refused_by_what_they_ask(checkpoint: str) -> None:
    model = OpabiniaChat(checkpoint)
    with pytest.raises(ValueError, match="output_type multiple_choice or loglikelihood"):
        model.loglikelihood([])
    with pytest.raises(ValueError, match="output_type generate_until_multi_round"):
        model.generate_until_multi_round([])
