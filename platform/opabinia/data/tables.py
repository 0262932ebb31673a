"""Tables that the user can edit: YAML or JSON files, one of ours unless the user names their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from opabinia.command_line.yaml_text import parse_yaml
from opabinia.config import Config

Table = TypeVar("Table", bound=Config)


def read_table(kind: type[Table], file: Path) -> Table:
    """Read a table and check it. Raises ValueError, one line that begins with the file's name."""
    try:
        document = parse_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such table; give the path of a YAML or JSON file") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors()[0])
        place = ".".join(str(part) for part in first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{file}: {place}: {reason}" if place else f"{file}: {reason}") from None
