"""Let a language model write questions and answers about pictures from their captions, or from pages about topics."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.data.instructions.experiment import InstructionExperiment


class GenerateSettings(InstructionExperiment):
    """What is written about, which model writes, and where it goes."""

    plan_only: bool = False
    """Stop after saying what the first step that is not done would take."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(GenerateSettings, argv, description=__doc__ or "")
    with plain_errors():
        _generate(settings)


def _generate(settings: GenerateSettings) -> None:
    from opabinia.data.instructions.generation import generate, plan_generation
    from opabinia.data.instructions.summary import next_lines, render_records

    # Workers run in folders of their own.
    settings = settings.model_copy(update={"output": settings.output.absolute()})
    generated = plan_generation(settings) if settings.plan_only else generate(settings, connect=_connect)
    if generated is None:
        return
    print(f"\n{render_records(generated.folder)}\nwritten:  {generated.folder / 'records'}\n")
    print(next_lines(generated.folder / "records", generated.images.absolute()), flush=True)


def _connect() -> None:
    """Join the running Ray cluster, or start one for the life of this job."""
    import ray

    if not ray.is_initialized():
        join_ray()


if __name__ == "__main__":
    main(sys.argv[1:])
