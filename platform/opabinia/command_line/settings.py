"""From a command line to checked settings."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from opabinia.command_line.bases import laid_over, read_layers
from opabinia.command_line.help import help_text
from opabinia.command_line.mistakes import mistakes
from opabinia.command_line.origins import Origins
from opabinia.command_line.overrides import Arguments, split_arguments, with_overrides
from opabinia.command_line.schema import schema_of

Settings = TypeVar("Settings", bound=BaseModel)


def load_settings(
    model: type[Settings], argv: Sequence[str], *, description: str, default_file: Path | None = None
) -> Settings:
    """Return the settings that a command line (without the program's name) asks for.

    `default_file` stands in for --config where that is not given.

    Prints the help page and exits with status 0 for --help; prints one line a mistake on stderr and exits with status 2
    where the command line or the file is wrong.
    """
    try:
        arguments = split_arguments(argv)
        if arguments.wants_help:
            _print_help(model, description, default_file)
            raise SystemExit(0)
        return _settings(model, arguments, default_file)
    except ValueError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def parse_settings(model: type[Settings], argv: Sequence[str], *, default_file: Path | None = None) -> Settings:
    """Like `load_settings`, but raises ValueError, one line a mistake, and knows no --help."""
    return _settings(model, split_arguments(argv), default_file)


def _settings(model: type[Settings], arguments: Arguments, default_file: Path | None) -> Settings:
    tree = schema_of(model)
    file = arguments.config or (str(default_file) if default_file else "")
    layers = read_layers(file) if file else []
    document, flags = with_overrides(laid_over(layers), arguments.overrides, tree)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        if not file and not flags:
            raise ValueError("nothing is set; start from a file, --config FILE (--help lists its fields)") from None
        origins = Origins(flags, layers)
        raise ValueError("\n".join(mistakes(error, document, tree, origins))) from None


def _print_help(model: type[BaseModel], description: str, default_file: Path | None) -> None:
    width = min(shutil.get_terminal_size().columns, 110)
    text = help_text(
        schema_of(model), program=sys.argv[0], description=description, default_file=default_file, width=width
    )
    print(text, end="")
