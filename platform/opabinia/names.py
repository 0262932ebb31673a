"""What things are called: trials, and the known name that a mistyped one was nearest to."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, ignoring case, or None where nothing is similar."""
    folded = {candidate.casefold(): candidate for candidate in sorted(known, reverse=True)}
    matches = get_close_matches(name.casefold(), sorted(folded), n=1, cutoff=0.5)
    return folded[matches[0]] if matches else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or an empty string where nothing is similar."""
    match = nearest(name, known)
    return f"; did you mean {match!r}?" if match else ""


def unknown(kind: str, name: str, known: Iterable[str], *, place: str = "") -> ValueError:
    """Return (not raise) the error for a name that no registry knows.

    `place` is the dotted path of the field that holds it: "encoders.0: unknown vision encoder 'burgess/mea-vit'; did
    you mean 'burgess/mim-vit'? Known: burgess/caption-vit, burgess/mim-vit".
    """
    names = sorted(known)
    prefix = f"{place}: " if place else ""
    listing = f"Known: {', '.join(names)}" if names else f"No {kind} is known"
    hint = suggestion(name, names) or "."
    return ValueError(f"{prefix}unknown {kind} {name!r}{hint} {listing}")


def trial_name(configuration: str, seed: int) -> str:
    """What a configuration is called when it is trained with one seed."""
    return f"{configuration}{_seed(seed)}"


def configuration_name(trial: str, seed: int) -> str:
    """The trial's name without its seed: trials that share it differ in the seed alone."""
    return trial.removesuffix(_seed(seed))


def _seed(seed: int) -> str:
    return f".s{seed}"
