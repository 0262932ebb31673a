"""Each mistake that pydantic found, as one line that names the place, the field, what was expected and what was got."""

from __future__ import annotations

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from opabinia.command_line.document import NOTHING, FieldPath, Json, entry
from opabinia.command_line.origins import Origins
from opabinia.command_line.schema import Schema, below, known_fields, unknown_field
from opabinia.names import suggestion

_WRONG_KIND = re.compile(r"(_type|_parsing|literal_error|too_short)$")
_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "path": "a path",
    "tuple": "a list",
    "list": "a list",
    "dict": "fields of its own",
    "model": "fields of its own",
    "model_attributes": "fields of its own",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_WIDEST_VALUE = 80


def mistakes(error: ValidationError, document: Json, tree: Schema, origins: Origins) -> list[str]:
    """List what is wrong with a document, one line a mistake, each beginning with the flag or file it came from."""
    found = [(_path(detail["loc"], document, tree), detail) for detail in error.errors(include_url=False)]
    lines: dict[str, None] = {}
    for path, details in _by_path(_innermost(found)).items():
        for inner, text in _texts(path, details, document, tree):
            origin, named = origins.place(inner)
            parts = [origin, ".".join(map(str, named)), text]
            lines[": ".join(part for part in parts if part)] = None
    return list(lines)


def one_line(detail: ErrorDetails) -> str:
    """Describe one mistake where the document is not at hand."""
    path = ".".join(map(str, detail["loc"]))
    return f"{path}: {_wording(detail)}" if path else _wording(detail)


def _path(loc: tuple[str | int, ...], document: Json, tree: Schema) -> FieldPath:
    """Drop from pydantic's location the names of union members and other marks that stand for no field."""
    path: FieldPath = ()
    value, schema = document, tree
    for part in loc:
        inner = entry(value, part)
        if inner is not NOTHING or part in known_fields(schema, value):
            path = (*path, part)
            value, schema = inner, below(schema, part, value) or {}
    return path


def _innermost(found: list[tuple[FieldPath, ErrorDetails]]) -> list[tuple[FieldPath, ErrorDetails]]:
    """Leave out what a union's other members say about a value whose inside one member has already found fault with."""
    paths = {path for path, _ in found}
    return [
        (path, detail)
        for path, detail in found
        if not (
            _WRONG_KIND.search(detail["type"])
            and any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        )
    ]


def _by_path(found: list[tuple[FieldPath, ErrorDetails]]) -> dict[FieldPath, list[ErrorDetails]]:
    grouped: dict[FieldPath, list[ErrorDetails]] = {}
    for path, detail in found:
        grouped.setdefault(path, []).append(detail)
    return grouped


def _texts(path: FieldPath, details: list[ErrorDetails], document: Json, tree: Schema) -> list[tuple[FieldPath, str]]:
    """Pair each mistake at a path with the path it is really about."""
    if len(details) > 1 and all(_WRONG_KIND.search(detail["type"]) for detail in details):
        expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
        meant = "".join(_meant(detail) for detail in details)
        return [(path, f"expected {expected}, got {_got(details[0])}{meant}")]
    if details[0]["type"] in ("extra_forbidden", "invalid_key"):
        parent, value = _standing(path[:-1], document, tree)
        return [(path, unknown_field(tree, parent, value, str(path[-1])))]
    schema, value = _standing(path, document, tree)
    return [_split(path, _wording(detail), known_fields(schema, value)) for detail in details]


def _standing(path: FieldPath, document: Json, tree: Schema) -> tuple[Schema, Json]:
    schema, value = tree, document
    for key in path:
        schema, value = below(schema, key, value) or {}, entry(value, key)
    return schema, value


def _split(path: FieldPath, text: str, fields: list[str]) -> tuple[FieldPath, str]:
    """Move the field that a cross-check's text begins with, as in "heads: 3 does not divide …", into the path."""
    match = re.match(r"([\w@/-]+(?:\.[\w@/-]+)*): ", text)
    if match is None:
        return path, text
    named = tuple(int(part) if part.isdecimal() else part for part in match[1].split("."))
    if path and named[: len(path)] == path:
        return named, text[match.end() :]
    return ((*path, *named), text[match.end() :]) if named[0] in fields else (path, text)


def _wording(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail.get("ctx", {}).get("error", detail["msg"]))
    if kind == "missing":
        return "required, but not given"
    if kind == "extra_forbidden":
        return "unknown field"
    return f"expected {_expected(detail)}, got {_got(detail)}{_meant(detail)}"


def _expected(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "literal_error":
        return str(detail.get("ctx", {})["expected"])
    if kind == "int_from_float":
        return _EXPECTED["int"]
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{words} {detail.get('ctx', {})[limit]:g}"
    if kind == "too_short":
        return f"at least {detail.get('ctx', {})['min_length']} item(s)"
    base = _EXPECTED.get(re.sub(r"_(type|parsing)$", "", kind))
    return base or re.sub(r"^(Input|Value|String|Tuple) should (be |have |match )?", "", detail["msg"])


def _got(detail: ErrorDetails) -> str:
    value: object = detail["input"]
    text = repr(value)
    if len(text) > _WIDEST_VALUE:
        return f"{text[: _WIDEST_VALUE - 1]}…"
    return "nothing" if value is None else text


def _meant(detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    return suggestion(detail["input"], re.findall(r"'([^']*)'", str(detail.get("ctx", {})["expected"])))
