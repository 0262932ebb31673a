"""The config.json of a published checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

Fields = TypeVar("Fields", bound=BaseModel)


def read_config(folder: Path, fields: type[Fields]) -> tuple[Fields, dict[str, Any]]:
    """The fields that a family's loader must honour, and everything that the file holds.

    Raises ValueError when the file is missing, or a field is or is not of its type.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"checkpoint {folder}: config.json is missing; give the folder of a published checkpoint")
    content = cast("dict[str, Any]", json.loads(path.read_text()))
    try:
        return fields.model_validate(content), content
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {place}: {first['msg'].lower()}") from None
