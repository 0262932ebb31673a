"""Encoders' shares as one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opabinia.evaluation.shares.shares import EncoderShares, Shares
from opabinia.storage.atomic import whole_text


@dataclass(frozen=True, slots=True)
class SharesFile:
    """families: shares by family, meant over places and questions; shares: of every question at every place, and the questions."""

    families: Mapping[str, Shares]
    shares: EncoderShares


def save_shares(path: Path, shares: EncoderShares) -> None:
    """Write all of it, whole or not at all."""
    file = SharesFile({family: shares.of_family(family) for family in shares.families}, shares)
    with whole_text(path) as handle:
        handle.write(_adapter().dump_json(file, indent=1).decode() + "\n")


def load_shares(path: Path) -> EncoderShares:
    """Read what save_shares wrote. Raises ValueError naming the file when it is damaged or missing."""
    try:
        return _adapter().validate_json(path.read_bytes()).shares
    except FileNotFoundError:
        raise ValueError(f"shares: {path} does not exist; compute the shares again") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ValueError(f"shares: {path} is damaged at {place or 'its start'}; compute the shares again") from None


@cache
def _adapter() -> TypeAdapter[SharesFile]:
    return TypeAdapter(SharesFile)
