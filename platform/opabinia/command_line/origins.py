"""Where each value of a settings document came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from opabinia.command_line.document import NOTHING, FieldPath, Json, entry


@dataclass(frozen=True, slots=True)
class Origins:
    """The flags by the path that each one set, and the file with its document as it was before the flags."""

    flags: Mapping[FieldPath, str]
    file: str
    document: Json

    def place(self, path: FieldPath) -> tuple[str, FieldPath]:
        """Return the flag or file that a value came from, and the path to name after it: empty if the flag says it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.flags:
                return self.flags[path[:length]], path if length < len(path) else ()
        return self._beginner(path[:-1]) or self.file, path

    def _beginner(self, group: FieldPath) -> str | None:
        """Return the flag that began a group of fields which the file does not have."""
        if reduce(entry, group, self.document) is not NOTHING:
            return None
        return next((flag for path, flag in self.flags.items() if path[: len(group)] == group), None)
