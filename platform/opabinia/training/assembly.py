"""What a worker builds before it trains: the model, the hardware under it, and where data and questions come from."""

from __future__ import annotations

from dataclasses import dataclass

import ray.train
import torch
from transformers import PreTrainedTokenizerFast

from opabinia.data.streaming.batching import PackedBatches
from opabinia.data.streaming.plan import Share
from opabinia.encoders.loading import load_learning_encoder
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.head import check_head
from opabinia.models.language_models import load_language_model, load_tokenizer
from opabinia.models.learner import Learner
from opabinia.models.lora import add_adapters
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.backends.backend import Backend
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import Hardware
from opabinia.training.inputs import TrainingInputs, load_inputs
from opabinia.training.prealignment import models_alone
from opabinia.training.recipe.learning_encoders import learning_encoders
from opabinia.training.reports.scored_model import ScoredModel, scored_model
from opabinia.training.reports.scorer import Scorer, open_scorer
from opabinia.training.run import RunConfig
from opabinia.training.untrained import untrained_modules
from opabinia.training.visual_features import RunFeatures, open_features


@dataclass(frozen=True)
class Parts:
    """What a run is made of, besides where it stands."""

    run: RunConfig
    inputs: TrainingInputs
    tokenizer: PreTrainedTokenizerFast
    learner: Learner
    features: RunFeatures
    scorer: Scorer
    scored: ScoredModel
    backend: Backend
    share: Share
    untrained: list[dict[str, str]]
    """See `untrained_modules`."""
    state: str
    """The address below which the run's state is saved."""


def assemble(run: RunConfig, hardware: Hardware, state: str) -> Parts:
    """In a worker of Ray Train. Raises ValueError where the parts do not fit, or the hardware is not there."""
    torch.set_num_threads(run.workers.threads)
    context = ray.train.get_context()
    share = Share(context.get_world_rank(), context.get_world_size())
    backend = open_backend(hardware, run.workers)
    inputs = load_inputs(run.inputs)
    learner = _learner(run)
    untrained = untrained_modules(learner, run.stages)
    scored = scored_model(learner, backend, share.worker)
    backend.place(learner)
    if run.workers.compiled and not backend.static_shapes:
        learner.compile_blocks()
    # All workers begin with the same weights; what is drawn while training is each one's own.
    backend.seed(run.seed * share.workers + share.worker)
    return Parts(
        run=run,
        inputs=inputs,
        tokenizer=load_tokenizer(str(inputs.tokenizer)),
        learner=learner,
        features=open_features(
            inputs,
            run.model.encoders,
            memory_mib=run.cache.memory_mib,
            decoding=run.data.decoding,
            learning=learner.encoders_by_id,
            device=backend.scoring_device,
            prompts_stored=not run.benchmark.files,
        ),
        scorer=open_scorer(
            run.benchmark, inputs.benchmark_keys if inputs.features else None, keys_alone=not learner.encoders_by_id
        ),
        scored=scored,
        backend=backend,
        share=share,
        untrained=untrained,
        state=state,
    )


def _learner(run: RunConfig) -> Learner:
    torch.manual_seed(run.seed)
    language_model = load_language_model(run.model.language_model)
    if run.model.lora is not None:
        add_adapters(language_model, run.model.lora)
    model = MultimodalModel(run.model, language_model)
    check_head(language_model)
    if any(isinstance(stage.batching, PackedBatches) for stage in run.stages):
        model.check_packing()
    encoders = {name: load_learning_encoder(name) for name in learning_encoders(run.stages, run.model.encoders)}
    checkpoint_activations(model, run.activation_checkpointing, encoders.values())
    return Learner(model, encoders, models_alone(model, run.stages, run.seed))
