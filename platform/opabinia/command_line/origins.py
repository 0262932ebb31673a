"""Where each value of a settings document came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opabinia.command_line.bases import Layer
from opabinia.command_line.document import NOTHING, FieldPath, Json, entry


@dataclass(frozen=True, slots=True)
class Origins:
    """The flags by the path that each one set, and the files that the document was before the flags, nearest first."""

    flags: Mapping[FieldPath, str]
    layers: Sequence[Layer]

    def place(self, path: FieldPath) -> tuple[str, FieldPath]:
        """Return the flag or file that a value came from, and the path to name after it: empty if the flag says it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.flags:
                return self.flags[path[:length]], path if length < len(path) else ()
        return self._beginner(path[:-1]) or self._file(path), path

    def _beginner(self, group: FieldPath) -> str | None:
        """Return the flag that began a group of fields which no file has."""
        if not group or any(_depth(layer, group) == len(group) for layer in self.layers):
            return None
        return next((flag for path, flag in self.flags.items() if path[: len(group)] == group), None)

    def _file(self, path: FieldPath) -> str:
        """Return the file that the value is from, or that has most of the groups it is missing from; empty without files."""
        return max(self.layers, key=lambda layer: _depth(layer, path)).file if self.layers else ""


def _depth(layer: Layer, path: FieldPath) -> int:
    """How much of a path a file has; all of it where it has a list on the way, which takes another file's place whole."""
    value: Json = layer.document
    for depth, key in enumerate(path):
        value = entry(value, key)
        if value is NOTHING:
            return depth
        if isinstance(value, list):
            return len(path)
    return len(path)
