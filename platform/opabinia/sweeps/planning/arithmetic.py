"""The parameters that a trial trains, and the operations that it needs, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from opabinia.data.streaming.batching import PackedBatches
from opabinia.encoders.catalogue import find_encoder
from opabinia.sweeps.planning.bare import BareStage, bare_stages
from opabinia.sweeps.planning.flops import (
    DecoderShape,
    connector_flops,
    decoder_shape,
    encoder_flops,
    learning_share,
    training_factor,
)
from opabinia.sweeps.planning.workload import Workload, Workloads
from opabinia.training.recipe.learning_encoders import learning_encoders
from opabinia.training.run import RunConfig

# Of the prompt of a question, without its picture; an assumption, as are as many tokens answered as are allowed.
_QUESTION_TOKENS = 32


@dataclass(frozen=True, slots=True)
class StageArithmetic:
    """trained: numbers that learn. samples: gone through. pictures: shown. flops: of training, of the encoders run in its steps too."""

    name: str
    steps: int
    trained: int
    samples: float
    pictures: float
    flops: float


@dataclass(frozen=True, slots=True)
class TrialArithmetic:
    """parameters: of the model, with all its encoders. trained: those that learn in any stage. scoring: operations of all reports."""

    parameters: int
    trained: int
    stages: tuple[StageArithmetic, ...]
    scoring: float

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def pictures(self) -> float:
        return sum(stage.pictures for stage in self.stages)

    @property
    def flops(self) -> float:
        return self.scoring + sum(stage.flops for stage in self.stages)


def trial_arithmetic(run: RunConfig, workloads: Workloads) -> TrialArithmetic:
    """Raises ValueError, as the run itself would, where its parts do not fit."""
    stages: list[StageArithmetic] = []
    learning = dict[int, int]()
    parameters = 0
    scoring = 0.0
    fresh = _fresh(run)
    for bare in bare_stages(run):
        learning |= bare.learning()
        parameters = parameters or _parameters(bare, run)
        stages.append(_stage(bare, run, workloads.sources[bare.stage.data], fresh))
        scoring += bare.stage.reports * (workloads.questions or 0) * _question(bare, run, fresh)
    return TrialArithmetic(parameters, sum(learning.values()), tuple(stages), scoring)


@lru_cache(maxsize=256)
def picture_flops(encoder: str) -> tuple[float, bool]:
    """See `encoder_flops`."""
    return encoder_flops(find_encoder(encoder))


def _stage(bare: BareStage, run: RunConfig, workload: Workload, fresh: Mapping[str, float]) -> StageArithmetic:
    text = min(workload.text, run.data.max_length)
    tokens = text + workload.pictures * bare.model.connector.queries
    samples = bare.stage.steps * bare.stage.batch * _samples_a_row(bare, tokens)
    pictures = samples * workload.pictures
    llm = decoder_shape(bare.model.language_model)
    share = learning_share(bare.model.language_model)
    through = any(parameter.requires_grad for one in bare.encoders.values() for parameter in one.parameters())
    of_a_picture = connector_flops(bare.model, through=through) + _encoding(bare, fresh)
    flops = samples * llm.training(tokens, text, share) + pictures * of_a_picture
    return StageArithmetic(bare.stage.name, bare.stage.steps, bare.trained, samples, pictures, flops)


def _samples_a_row(bare: BareStage, tokens: float) -> float:
    batching = bare.stage.batching
    return max(1.0, batching.tokens / tokens) if isinstance(batching, PackedBatches) else 1.0


def _encoding(bare: BareStage, fresh: Mapping[str, float]) -> float:
    """Of one picture by all encoders that are run in a step of the stage: forward, and backward as far as they learn."""
    seen = [name for name in bare.model.config.encoders if name in fresh]
    learns = {name for name, one in bare.encoders.items() if any(p.requires_grad for p in one.parameters())}
    return sum(fresh[name] * (training_factor(1.0) if name in learns else 1.0) for name in seen)


def _question(bare: BareStage, run: RunConfig, fresh: Mapping[str, float]) -> float:
    """One question, asked with its picture and without."""
    llm: DecoderShape = decoder_shape(bare.model.language_model)
    answer, queries = run.benchmark.max_new_tokens, bare.model.connector.queries
    asked = llm.forward(_QUESTION_TOKENS + queries, 1) + llm.forward(_QUESTION_TOKENS, 1)
    return asked + 2 * answer * llm.forward(1, 1) + sum(fresh.values())


def _fresh(run: RunConfig) -> dict[str, float]:
    """Operations of one picture's forward pass, for each encoder of which no features are stored."""
    learning = learning_encoders(run.stages, run.model.encoders)
    names = learning if run.cache.enabled else run.model.encoders
    return {name: picture_flops(name)[0] for name in names}


def _parameters(bare: BareStage, run: RunConfig) -> int:
    encoders = sum(find_encoder(name).parameters for name in run.model.encoders)
    return encoders + sum(parameter.numel() for parameter in bare.model.parameters())
