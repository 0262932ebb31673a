"""Score a checkpoint on the held-out benchmark, or on published ones, with the image and without.

Without --checkpoint, the champion is scored; --benchmark.files '{cv_bench: test.parquet}' names files of published benchmarks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from opabinia.command_line import load_settings, plain_errors
from opabinia.evaluation.masking.stand_ins import Masking
from opabinia.experiment import Experiment

if TYPE_CHECKING:
    from opabinia.evaluation.evaluate import Evaluation
    from opabinia.models.answering import ModelAnswerer
    from opabinia.models.multimodal_config import ModelConfig
    from opabinia.training.reports.scorer import Scored, Scorer

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class EvaluateSettings(Experiment):
    """An experiment whose benchmark scores a checkpoint."""

    checkpoint: Path | None = None
    """Checkpoint folder, as training writes it; null fetches the champion from MLflow."""

    results: Path | None = None
    """Folder for report.json (scores, and how each was asked and scored), answers.json (every answer), and what `masks` and `shares`
    find; null writes none of them."""

    answers: Path | None = None
    """Folder in which every answer is kept as it comes: what is there is not asked again, by this model, after a kill or later. Null
    keeps none, or with `processes` keeps them in OUTPUT/answers."""

    processes: int = Field(default=0, ge=0)
    """Ray Data workers that answer side by side, each with the model, at most as many as the cluster has room for; 0 asks here,
    without Ray."""

    masks: Masking | bool = False
    """Score every subset of the encoders too, with something else for the features of the others: what each encoder adds. `zero`, as is
    true; `mean`, each encoder's mean over the benchmark's pictures; `resample`, those of another picture. Writes masks.json."""

    shares: bool = False
    """Print how much each encoder counts inside the connector and the language model, by attention or weight. Writes shares.json."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(EvaluateSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _evaluate(settings)


class _Evaluated:
    """A checkpoint, which is opened where its answers are not all kept."""

    def __init__(self, folder: Path, scorer: Scorer, seed: int) -> None:
        self.folder, self.scorer, self._seed = folder, scorer, seed

    @cached_property
    def answerer(self) -> ModelAnswerer:
        from opabinia.models.answering import load_answerer

        return load_answerer(self.folder)

    def score(self) -> Scored:
        """Ask everything here and now."""
        return self._scored(*self.scorer.ask(self.answerer), self.answerer.model.config)

    def score_kept(self, kept: Path, processes: int) -> Scored:
        """Ask what is not kept."""
        from opabinia.cluster.joining import join_ray
        from opabinia.evaluation.answering.asking import evaluate_kept, model_digest
        from opabinia.evaluation.answering.worker import Answering
        from opabinia.models.answering import config_of

        if processes:
            join_ray()
        model = config_of(self.folder)
        seen, blind = evaluate_kept(
            Answering(self.folder, self.scorer.config, kept),
            self.scorer.questions,
            model_digest(self.folder, model.encoders),
            processes=processes,
            opened=lambda: self.answerer,
        )
        return self._scored(seen, blind, model)

    def _scored(self, seen: Evaluation, blind: Evaluation, model: ModelConfig) -> Scored:
        return self.scorer.scored(seen, blind, self.folder.name, model.encoders, model.connector.type, seed=self._seed)


def _evaluate(settings: EvaluateSettings) -> None:
    from opabinia.preparation import absolute_paths
    from opabinia.training.reports.scorer import open_scorer
    from opabinia.winner import fetch_winner

    keeps = settings.answers is not None or settings.processes > 0
    # Workers start in folders of their own.
    scorer = open_scorer(absolute_paths(settings).benchmark if keeps else settings.benchmark)
    evaluated = _Evaluated(settings.checkpoint or fetch_winner(settings), scorer, settings.seed)
    kept = settings.answers or settings.output / "answers"
    scored = evaluated.score_kept(kept, settings.processes) if keeps else evaluated.score()
    _print(scored, evaluated.folder, published=bool(settings.benchmark.files))
    if settings.results:
        _write(scored, settings.results)
    if settings.masks:
        masking = "zero" if settings.masks is True else settings.masks
        _masks(scorer, evaluated.answerer, masking, settings)
    if settings.shares:
        _shares(scorer, evaluated.answerer, settings.results)


def _print(scored: Scored, folder: Path, *, published: bool) -> None:
    from opabinia.evaluation.answer_length import answer_length
    from opabinia.evaluation.benchmarks.score_table import render_benchmarks
    from opabinia.evaluation.table import render_table

    table = render_benchmarks(scored.report) if published else render_table([scored.report])
    length = answer_length(scored.with_image.answers)
    print(
        f"{folder}\n\n{table}\n\nanswers: {length.words:.1f} words on average, {length.one_word:.0f} % of one word",
        flush=True,
    )


def _write(scored: Scored, folder: Path) -> None:
    from opabinia.evaluation.report import to_json
    from opabinia.evaluation.samples import save_answers
    from opabinia.storage.atomic import whole_text

    folder.mkdir(parents=True, exist_ok=True)
    save_answers(folder / "answers.json", scored.with_image, scored.blind)
    with whole_text(folder / "report.json") as file:
        file.write(to_json(scored.report) + "\n")
    print(f"\nreport and answers: {folder}", flush=True)


def _masks(scorer: Scorer, answerer: ModelAnswerer, masking: Masking, settings: EvaluateSettings) -> None:
    from opabinia.evaluation.masking.masked import score_masks
    from opabinia.evaluation.masking.masks_file import save_masks
    from opabinia.evaluation.masking.masks_table import render_masks

    config = scorer.config
    masked = score_masks(
        answerer,
        scorer.questions,
        scorer.images,
        masking=masking,
        seed=settings.seed,
        batch=config.batch,
        max_new_tokens=config.max_new_tokens,
        prompt_kind=config.prompt,
    )
    print(f"\n{render_masks(masked)}", flush=True)
    if settings.results:
        save_masks(settings.results / "masks.json", masked)


def _shares(scorer: Scorer, answerer: ModelAnswerer, results: Path | None) -> None:
    from opabinia.evaluation.shares.shares import encoder_shares
    from opabinia.evaluation.shares.shares_file import save_shares
    from opabinia.evaluation.shares.shares_table import render_shares

    config = scorer.config
    shares = encoder_shares(answerer, scorer.questions, scorer.images, batch=config.batch, prompt_kind=config.prompt)
    print(f"\n{render_shares(shares)}", flush=True)
    if results:
        save_shares(results / "shares.json", shares)


if __name__ == "__main__":
    main(sys.argv[1:])
