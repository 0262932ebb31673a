"""The model class that lmms-eval knows as `opabinia`: lmms_eval --model opabinia --model_args checkpoint=FOLDER --tasks cv_bench"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from opabinia.evaluation.lmms_eval.batches import answer_in_room
from opabinia.evaluation.lmms_eval.prompts import Message, to_prompt
from opabinia.evaluation.lmms_eval.settings import AnswerSettings, answer_settings
from opabinia.models.answering import Answer, Prompt, load_answerer

_LanguageModel: Any = import_module("lmms_eval.api.model").lmms
_results: Any = import_module("lmms_eval.api.instance")


class _Request(NamedTuple):
    """The arguments of a request to a chat model, in lmms-eval's order."""

    context: str
    to_messages: Callable[[Any], Sequence[Message]]
    settings: Mapping[str, Any]
    document: int
    task: str
    split: str


class OpabiniaChat(_LanguageModel):
    """A checkpoint that answers the chat messages of a task, greedily, `batch_size` at a time.

    Of several pictures the first is shown with `several_pictures` "first"; "refuse" ends the run with a reason. Where torchrun starts
    several processes, each has a part of the questions and a GPU of its own. Raises ValueError when the folder is not a whole
    checkpoint, and for a batch size that is no number.
    """

    is_simple = False

    def __init__(
        self,
        checkpoint: str,
        batch_size: int | str = 1,
        device: str | None = None,
        max_batch_size: int | None = None,
        several_pictures: str = "refuse",
    ) -> None:
        super().__init__()
        if several_pictures not in ("refuse", "first"):
            raise ValueError(f"several_pictures: {several_pictures!r} is not known; give refuse or first")
        if not str(batch_size).isdecimal() or not int(batch_size):
            raise ValueError(
                f"batch_size: {batch_size!r} is not a whole number above 0; give the questions of one batch"
            )
        self.batch_size = int(batch_size)
        self.first_picture_alone = several_pictures == "first"
        self._rank = int(os.environ.get("RANK", "0"))
        self._world_size = int(os.environ.get("WORLD_SIZE", "1"))
        _use_own_gpu()
        self.answerer = load_answerer(Path(str(checkpoint)))
        self.device = next(self.answerer.model.parameters()).device
        if device not in (None, str(self.device), self.device.type):
            raise ValueError(f"device: the model is on {self.device}, not on {device}; leave --device out")

    def generate_until(self, requests: Sequence[Any]) -> list[Any]:
        """What each request is answered, in order, with the tokens read and written."""
        asked = [_Request(*request.args) for request in requests]
        progress: Any = import_module("tqdm").tqdm(total=len(asked), desc="answering", disable=self._rank != 0)
        answers: list[Any] = []
        for settings, alike in groupby(asked, key=lambda request: answer_settings(request.settings)):
            members = list(alike)
            for start in range(0, len(members), self.batch_size):
                batch = members[start : start + self.batch_size]
                answers += self._answer(batch, settings)
                progress.update(len(batch))
        progress.close()
        return answers

    def _answer(self, batch: Sequence[_Request], settings: AnswerSettings) -> list[Any]:
        prompts = [self._prompt(request) for request in batch]
        said = answer_in_room(self.answerer, prompts, settings.max_new_tokens)
        return [_result(answer, settings) for answer in said]

    def _prompt(self, request: _Request) -> Prompt:
        document = self.task_dict[request.task][request.split][request.document]
        return to_prompt(request.to_messages(document), first_picture_alone=self.first_picture_alone)

    def loglikelihood(self, requests: Sequence[Any]) -> NoReturn:
        raise ValueError(_refusal("likelihoods of given answers (output_type multiple_choice or loglikelihood)"))

    def generate_until_multi_round(self, requests: Sequence[Any]) -> NoReturn:
        raise ValueError(_refusal("answers over several rounds (output_type generate_until_multi_round)"))


def _result(answer: Answer, settings: AnswerSettings) -> Any:
    counts = _results.TokenCounts(input_tokens=answer.prompt_tokens, output_tokens=answer.completion_tokens)
    return _results.GenerationResult(settings.cut(answer.text), counts)


def _refusal(asked: str) -> str:
    return f"the task asks for {asked}, but the model answers tasks of output_type generate_until alone; leave out the task"


def _use_own_gpu() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
