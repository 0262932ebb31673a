"""The stages of published recipes, which an experiment names and changes field by field.

Where the published batch is changed, rates follow it by the square root (Tong et al. 2024, released training notes). A recipe reads the
data sources `alignment` (captions) and `instruction`. What its authors did not publish is said beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

from pydantic import BaseModel

from opabinia.names import unknown
from opabinia.training.recipe.stages import EACH, WrittenStage

Recipe = Literal[
    "llava15",
    "cambrian_one_stage",
    "cambrian_two_stage",
    "cambrian_two_stage_unfrozen",
    "cambrian_final",
    "eagle_two_stage",
    "eagle_prealign",
]

Document = dict[str, Any]
"""A stage, or an experiment, as its file holds it."""

_ALL: Final = {"epochs": 1, "schedule": "cosine", "weight_decay": 0.0, "betas": (0.9, 0.999), "eps": 1e-8}
"""One pass with AdamW as transformers' trainer has it, which LLaVA, Cambrian and Eagle all use, with gradients clipped to 1."""

_CONNECTOR: Final = {**_ALL, "name": "align", "data": "alignment", "trains": ["connector"]}

_INSTRUCTION: Final = {
    **_ALL,
    "name": "instruct",
    "data": "instruction",
    "trains": ["connector", "language_model"],
    "warmup": 0.03,
    "batching": {"type": "grouped"},
}
"""Samples of similar length, with and without pictures apart, share a batch in the released scripts of all three."""

_LLAVA_ALIGN: Final = {**_CONNECTOR, "batch": 256, "base_batch": 256, "lr": 1e-3, "warmup": 0.03}
_LLAVA_INSTRUCT: Final = {**_INSTRUCTION, "batch": 128, "base_batch": 128, "lr": 2e-5}

_STUDY_ALIGN: Final = {**_CONNECTOR, "batch": 512, "base_batch": 512, "lr": 1e-3, "warmup": 0.06}
"""Of the study of encoders; its warm-up is that of the released scripts, for the paper states none."""
_STUDY_INSTRUCT: Final = {**_INSTRUCTION, "batch": 512, "base_batch": 512, "lr": 2e-5}

_EAGLE_INSTRUCT: Final = {**_LLAVA_INSTRUCT, "trains": ["connector", "language_model", "encoders"]}
"""Everything learns, at one rate."""

_EAGLE_PREALIGN: Final = {
    **_LLAVA_INSTRUCT,
    "name": "prealign",
    "alone": EACH,
    "trains": ["connector", "encoders"],
    "learning_rates": {"connector": 7e-4},
}
"""Each encoder with a projector of its own on the instruction data, before a frozen language model. Batch and rates are unpublished:
the encoders have those of the instruction stage, and the projector, new as in the align stage, that stage's 1e-3 at this batch."""

_RECIPES: Final[Mapping[str, tuple[Document, ...]]] = {
    # Liu et al. 2024, "Improved baselines with visual instruction tuning", table of hyper-parameters and released scripts.
    "llava15": (_LLAVA_ALIGN, _LLAVA_INSTRUCT),
    # Tong et al. 2024, §3.3: no connector training, 1.2 M captions with frozen encoders, and with encoders that learn in the second.
    "cambrian_one_stage": (_STUDY_INSTRUCT,),
    "cambrian_two_stage": (_STUDY_ALIGN, _STUDY_INSTRUCT),
    "cambrian_two_stage_unfrozen": (
        _STUDY_ALIGN,
        {
            **_STUDY_INSTRUCT,
            "trains": ["connector", "language_model", "encoders"],
            "learning_rates": {"encoders": 1e-5},
        },
    ),
    # Tong et al. 2024, §6, the released scripts of 8B and 13B; 34B has batch 1024 in both and lr 2e-5 in the second. The paper's own
    # table has 1e-4 for the connector and 2e-5 for the second.
    "cambrian_final": (
        {**_STUDY_ALIGN, "learning_rates": {"sva": 1e-4}},
        {**_STUDY_INSTRUCT, "lr": 4e-5},
    ),
    # Shi et al. 2024, released scripts; the pre-alignment of the paper comes before these two.
    "eagle_two_stage": (_LLAVA_ALIGN, _EAGLE_INSTRUCT),
    "eagle_prealign": (_EAGLE_PREALIGN, _LLAVA_ALIGN, _EAGLE_INSTRUCT),
}


def preset(recipe: Recipe, changes: Sequence[Mapping[str, Any]] = ()) -> tuple[WrittenStage, ...]:
    """The stages of a recipe, with the fields in `changes` in place of its own.

    Each change names its stage by `name`, or stands at the stage's place. Raises ValueError where there is no such stage.
    """
    return tuple(WrittenStage.model_validate(stage) for stage in _changed(recipe, changes))


def with_recipe(experiment: Any) -> Any:
    """An experiment as its file holds it: where it names a `recipe`, with that one's `stages`, changed by those that it has itself.

    Raises ValueError for an unknown recipe or stage; what is no experiment at all is left to later checks.
    """
    if not isinstance(experiment, Mapping):
        return experiment
    document = cast("Mapping[str, Any]", experiment)
    changes: Sequence[Any] = document.get("stages") or ()
    are_changes = isinstance(changes, list | tuple) and all(isinstance(one, Mapping | BaseModel) for one in changes)
    if document.get("recipe") is None or not are_changes:
        return document
    return {**document, "stages": _changed(document["recipe"], [dict(change) for change in changes])}


def _changed(recipe: str, changes: Sequence[Mapping[str, Any]]) -> list[Document]:
    if recipe not in _RECIPES:
        raise unknown("recipe", recipe, _RECIPES, place="recipe")
    stages: list[Document] = [dict(stage) for stage in _RECIPES[recipe]]
    names = [stage["name"] for stage in stages]
    for place, change in enumerate(changes):
        if "name" not in change and place >= len(stages):
            raise ValueError(f"stages.{place}: {recipe} has {len(stages)} stages; name the one that this changes")
        name = change.get("name", names[min(place, len(names) - 1)])
        if name not in names:
            raise unknown(f"stage of {recipe}", name, names, place=f"stages.{place}.name")
        stages[names.index(name)] = _with(stages[names.index(name)], change)
    return stages


def _with(stage: Document, change: Mapping[str, Any]) -> Document:
    """A length that is changed takes the place of the other kind of length."""
    lengths = {"steps": None, "epochs": None} if any(change.get(kind) for kind in ("steps", "epochs")) else {}
    return {**stage, **lengths, **change}
