"""The base of every configuration class in the house.

A room keeps its configuration class beside the code it configures; `opabinia.experiment` composes them into one tree
and `opabinia.command_line` fills that tree from a file and the command line.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Immutable settings: unknown fields, NaN and infinity are refused; a docstring under a field is its help text."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        # Otherwise pydantic warns about our natural field names that begin with `model_`.
        protected_namespaces=(),
    )
