"""Ablation rows and samples that several specifications of this room use."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PIL import Image

from opabinia.evaluation.pictures import pictures_in
from opabinia.tracking.ablation import AblationRow
from opabinia.tracking.samples_page import Sample


def row(
    encoders: str = "clip-vit",
    connector: str = "sva",
    score: float | None = 70.0,
    *,
    seed: int = 0,
    status: str = "finished",
    steps: int = 600,
) -> AblationRow:
    names = ("general", "knowledge", "ocr_chart", "vision_centric")
    families = (
        {} if score is None else {name: score + shift for name, shift in zip(names, (10, 5, -10, -5), strict=True)}
    )
    return AblationRow(
        trial=f"{encoders}·{connector}·s{seed}",
        encoders=tuple(f"burgess/{name}" for name in encoders.split("+")),
        connector=connector,
        seed=seed,
        status=status,
        steps=steps,
        seconds=31.52,
        families=families,
        score=score,
        blind=None if score is None else 40.0,
        random=None if score is None else 27.3,
        vision_gain=None if score is None else score - 38,
    )


def sample(image: Path | None = None, *, family: str = "general", **changes: object) -> Sample:
    fields: dict[str, object] = {
        "family": family,
        "task": "colour",
        "question": "what colour is the circle ?",
        "choices": ("red", "blue"),
        "right_text": "red",
        "answer": "red",
        "correct": True,
        "blind_answer": "blue",
        "blind_correct": False,
        "image": image and partial(pictures_in(image.parent), image.name),
    }
    return Sample(**{**fields, **changes})  # type: ignore[arg-type]


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (64, 64)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path
