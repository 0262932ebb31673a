"""Flags such as `--stages.1.lr 2e-5`: read from the command line and laid over a settings document."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from opabinia.command_line.document import FieldPath, Json
from opabinia.command_line.schema import Schema, accepts, below, known_fields, members, tag, unknown_field
from opabinia.command_line.yaml_text import parse_yaml

Document = dict[str, Json]

_SCALARS = ("string", "integer", "number", "boolean")


@dataclass(frozen=True, slots=True)
class Override:
    """One flag: how it was typed, the dotted path it names, and the words that follow it."""

    flag: str
    path: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line taken apart."""

    config: str | None
    wants_help: bool
    overrides: tuple[Override, ...]


def split_arguments(argv: Sequence[str]) -> Arguments:
    """Take a command line apart; raises ValueError for a stray word or a --config without a file."""
    flags: list[tuple[str, list[str], bool]] = []
    for word in argv:
        if word == "-h" or (word.startswith("--") and len(word) > 2):
            name, equals, value = word.partition("=")
            flags.append((name, [value] if equals else [], bool(equals)))
        elif not flags or flags[-1][2] or word == "--":
            raise ValueError(f"{word!r}: unexpected; settings are given as --field value, and --help lists the fields")
        else:
            flags[-1][1].append(word)
    overrides = [
        Override(name, tuple(name[2:].split(".")), tuple(words))
        for name, words, _ in flags
        if name not in ("-h", "--help", "--config")
    ]
    return Arguments(
        config=_config_file([words for name, words, _ in flags if name == "--config"]),
        wants_help=any(name in ("-h", "--help") for name, _, _ in flags),
        overrides=tuple(overrides),
    )


def with_overrides(
    document: Document, overrides: Sequence[Override], tree: Schema
) -> tuple[Document, dict[FieldPath, str]]:
    """Lay overrides over a document, a whole before its parts; returns it, and the flags by the path that each one set.

    Raises ValueError, one line a mistake, each beginning with the flag.
    """
    result = copy.deepcopy(document)
    flags: dict[FieldPath, str] = {}
    mistakes: list[str] = []
    for override in sorted(overrides, key=lambda override: len(override.path)):
        try:
            flags[_lay(result, override, tree)] = override.flag
        except ValueError as error:
            mistakes.append(f"{override.flag}: {error}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return result, flags


def _config_file(given: list[list[str]]) -> str | None:
    if not given:
        return None
    if len(given) > 1:
        raise ValueError("--config: given twice; give one file, and override its fields with --field value")
    if len(given[0]) != 1 or not given[0][0]:
        raise ValueError(f"--config: takes one file, got {' '.join(given[0]) or 'none'}")
    return given[0][0]


def _lay(document: Document, override: Override, tree: Schema) -> FieldPath:
    place: Json = document
    schema = tree
    path: FieldPath = ()
    for depth, word in enumerate(override.path):
        key = _key(schema, place, word, path, tree)
        inner = below(schema, key, place)
        if inner is None:
            raise ValueError(unknown_field(tree, schema, place, word))
        path = (*path, key)
        if depth == len(override.path) - 1:
            _put(place, key, _read_words(override.words, inner))
            _forget_other_shapes(place, key, schema)
        else:
            place, schema = _enter(place, key, inner), inner
    return path


def _key(schema: Schema, place: Json, word: str, path: FieldPath, tree: Schema) -> str | int:
    """Turn one word of a dotted path into the key it means; raises ValueError where nothing is called that."""
    name = ".".join(map(str, path))
    if isinstance(place, list):
        count = len(cast("list[Json]", place))
        if not word.isdecimal() or int(word) > count:
            raise ValueError(f"{name} has {count} items, numbered from 0; {name}.{count} would add one")
        return int(word)
    fields: Json = place
    if not isinstance(place, dict):
        raise ValueError(f"{name} holds {fields!r}, which has no field {word!r}")
    underscored = word.replace("-", "_")
    return underscored if below(schema, word, fields) is None and underscored in known_fields(schema, fields) else word


def _enter(place: Json, key: str | int, schema: Schema) -> Json:
    """Return what stands at `key`, put there from the schema's default where nothing stands yet."""
    is_absent = key == len(place) if isinstance(key, int) else place.get(key) is None
    if is_absent:
        _put(place, key, _fresh(schema))
    return place[key]


def _fresh(schema: Schema) -> Json:
    default = schema.get("default")
    if default is not None:
        return copy.deepcopy(default)
    return [] if accepts(schema, "array") and not accepts(schema, "object") else {}


def _put(place: Json, key: str | int, value: Json) -> None:
    if isinstance(key, int) and key == len(place):
        place.append(value)
    else:
        place[key] = value


def _forget_other_shapes(place: Json, key: str | int, schema: Schema) -> None:
    """After `--connector.type mlp2x_gelu`, drop what the file said about a connector of the former type."""
    if key != tag(schema):
        return
    known = known_fields(schema, place)
    for name in [name for name in place if name not in known]:
        del place[name]


def _read_words(words: tuple[str, ...], schema: Schema) -> Json:
    """Read the words after a flag as the schema wants them; numbers stay text, which pydantic converts.

    Raises ValueError where the number of words is wrong, or YAML's syntax.
    """
    if not words:
        if accepts(schema, "boolean"):
            return True
        raise ValueError("needs a value")
    first = next(iter(words))
    if accepts(schema, "array") and not (len(words) == 1 and _is_whole(first, schema)):
        return [_read_words((word,), _items(schema)) for word in words]
    if len(words) > 1:
        raise ValueError(f"takes one value, got {len(words)}: {' '.join(words)}")
    if first.lstrip().startswith(("[", "{")) and accepts(schema, "array", "object"):
        return parse_yaml(first)
    return None if _is_null(first) and accepts(schema, "null") else first


def _is_whole(word: str, schema: Schema) -> bool:
    """Tell whether one word is the whole value of a field that may be a list, and not the list's only item."""
    if word.lstrip().startswith("["):
        return True
    if not word.lstrip().startswith("{") and not accepts(_items(schema), *_SCALARS):
        return True
    others = [member for member in members(schema) if member.get("type") != "array"]
    return any(
        word in (member.get("const"), *member.get("enum", ())) or (member.get("type") == "null" and _is_null(word))
        for member in others
    )


def _items(schema: Schema) -> Schema:
    return next(member.get("items", {}) for member in members(schema) if member.get("type") == "array")


def _is_null(word: str) -> bool:
    return word.lower() in ("null", "none", "~")
