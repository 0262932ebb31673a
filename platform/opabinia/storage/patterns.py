"""Wildcards in addresses, the same for buckets as for folders.

`*`, `?` and `[ab]` stay within one name, `**` is any number of folders, and a name that begins with a dot is matched only by a
pattern that begins with one, as in a shell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

_WILDCARD = re.compile(r"[*?\[]")
_ANY_FOLDERS = "**"


def has_wildcard(text: str) -> bool:
    """Whether `text` is a pattern rather than a name."""
    return _WILDCARD.search(text) is not None


def fixed_start(pattern: str) -> str:
    """The part before the first wildcard, with which every match begins."""
    return _WILDCARD.split(pattern, maxsplit=1)[0]


def matches(name: str, pattern: str) -> bool:
    """Whether `pattern` describes all of `name` (parts with / between them)."""
    return _match(name.split("/"), pattern.split("/"))


def leads_to_matches(folder: str, pattern: str) -> bool:
    """Whether names below `folder` can match `pattern`; where not, nobody needs to look."""
    given, wanted = folder.split("/"), pattern.split("/")
    for name, described in zip(given, wanted, strict=False):
        if described == _ANY_FOLDERS:
            return True
        if not _name_matches(name, described):
            return False
    return len(given) < len(wanted)


def _match(names: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted or not names:
        return not wanted and not names
    if wanted[0] != _ANY_FOLDERS:
        return _name_matches(names[0], wanted[0]) and _match(names[1:], wanted[1:])
    if len(wanted) == 1:
        return not any(name.startswith(".") for name in names)
    return _match(names, wanted[1:]) or (not names[0].startswith(".") and _match(names[1:], wanted))


def _name_matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
