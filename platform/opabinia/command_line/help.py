"""What `--help` prints: every field of the tree, with its flag, type, default and meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from opabinia.command_line.document import NOTHING, Json, entry
from opabinia.command_line.schema import Schema, members, shapes, tag

_BOUNDS = (("minimum", "≥ "), ("exclusiveMinimum", "> "), ("maximum", "≤ "), ("exclusiveMaximum", "< "))
_WORDS = {"string": "TEXT", "integer": "INTEGER", "number": "NUMBER", "boolean": "true|false", "null": "null"}


def help_text(tree: Schema, *, program: str, description: str, width: int, default_file: Path | None = None) -> str:
    """Lay out the help page for a terminal `width` columns wide."""
    default = f"  [default: {default_file}]" if default_file else ""
    opening = [
        *textwrap.wrap(description, width),
        "",
        f"Usage: python {program} [--config FILE] [--FIELD VALUE ...]",
        "",
        *_entry(
            f"--config FILE{default}",
            "A YAML file with the fields below, laid over those of another that it names as base. Flags are laid over both.",
            width,
        ),
        *_entry("--help", "This page.", width),
        "",
        *textwrap.wrap(
            "N is the place of an item in a list, counted from 0: --stages.1.lr 2e-5. A whole list is given as words, "
            "--encoders a b, or as YAML, --encoders '[a, b]'.",
            width,
        ),
    ]
    return "\n".join([*opening, *_section(tree, (), tree.get("default", {}), width)]) + "\n"


def _section(schema: Schema, path: tuple[str, ...], default: Json, width: int) -> Iterator[str]:
    """Yield the fields of a group, then each group inside it."""
    meant = shapes(schema, default)
    for shape in members(schema):
        if "properties" in shape:
            yield from _shape(schema, shape, path, default if shape in meant else NOTHING, width)


def _shape(schema: Schema, shape: Schema, path: tuple[str, ...], default: Json, width: int) -> Iterator[str]:
    yield ""
    if path:
        yield from _heading(schema, shape, path, width)
    groups: list[tuple[Schema, tuple[str, ...], Json]] = []
    for name, field in shape["properties"].items():
        inner = _default(name, field, default)
        group = _group(field)
        if group is None or _is_optional_or_list(field):
            yield from _entry(_flag((*path, name), field, inner, shape), field.get("description", ""), width)
        if group is not None:
            groups.append((group[0], (*path, name, *group[1]), inner if not group[1] else NOTHING))
    for group, inner_path, inner in groups:
        yield from _section(group, inner_path, inner, width)


def _heading(schema: Schema, shape: Schema, path: tuple[str, ...], width: int) -> list[str]:
    name = tag(schema)
    # A tag that must be written has no default.
    tagged: Schema = shape["properties"][name] if name else {}
    kind = f" with {name} {_value(tagged.get('default', tagged.get('const')))}" if name else ""
    doc = " ".join(shape.get("description", "").split("\n\n")[0].split())
    text = f"{'.'.join(path)}{kind}: {doc}" if doc else f"{'.'.join(path)}{kind}"
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _entry(flag: str, doc: str, width: int) -> list[str]:
    return [f"  {flag}", *textwrap.wrap(doc, width, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def _flag(path: tuple[str, ...], field: Schema, default: Json, shape: Schema) -> str:
    if default is not NOTHING:
        note = f"  [default: {_value(default)}]"
    else:
        note = "  [required]" if path[-1] in shape.get("required", ()) else ""
    return f"--{'.'.join(path)} {_type(field)}{note}"


def _default(name: str, field: Schema, inherited: Json) -> Json:
    """Return a field's default: what the default of the group it belongs to says, or its own."""
    own = field.get("default", NOTHING)
    return own if entry(inherited, name) is NOTHING else entry(inherited, name)


def _group(field: Schema) -> tuple[Schema, tuple[str, ...]] | None:
    """Return the group of fields that a field holds, and the words that stand between the two in a dotted path."""
    if any("properties" in member for member in members(field)):
        return field, ()
    for member in members(field):
        for key, word in (("items", "N"), ("additionalProperties", "NAME")):
            deeper = _group(member[key]) if member.get(key) else None
            if deeper is not None:
                return deeper[0], (word, *deeper[1])
    return None


def _is_optional_or_list(field: Schema) -> bool:
    return any("properties" not in member for member in members(field))


def _type(field: Schema) -> str:
    return " or ".join(dict.fromkeys(_member_type(member) for member in members(field)))


def _member_type(member: Schema) -> str:
    if "const" in member or "enum" in member:
        return "|".join(str(value) for value in member.get("enum", [member.get("const")]))
    kind = member.get("type", "")
    if kind == "array":
        return f"[{_type(member.get('items', {}))}, ...]"
    if kind == "object":
        free = member.get("additionalProperties")
        return f"{{NAME: {_type(free)}, ...}}" if free else "{...}"
    word = "PATH" if member.get("format") == "path" else _WORDS.get(kind, "VALUE")
    bounds = [f"{sign}{member[bound]:g}" for bound, sign in _BOUNDS if bound in member]
    return f"{word} {', '.join(bounds)}" if bounds else word


def _value(default: Json) -> str:
    text = yaml.safe_dump(default, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()
